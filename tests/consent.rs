//! Objections and consents as data: `[[suppress]]` with a source, and `[[require]]`.

mod common;

use common::{Repo, Spotler};

/// Two automations, a source of people who are all enrolled in both, and these blocks from line 21 on.
fn config(url: &str, blocks: &str) -> String {
    format!(
        r#"[spotler]
base_url = {url:?}
rate = "100000/s"
concurrency = 1
[automation.bills]
trigger_code = "bills"
kind = "service"
[automation.care]
trigger_code = "care"
[source.crm]
csv = "crm.csv"
contact = "id"
[source.list]
csv = "list.csv"
contact = "id"
[[enrol]]
automation = ["bills", "care"]
source = "crm"


{blocks}"#
    )
}

const OBJECTIONS: &str = "[[suppress]]\nsource = \"list\"\nwhere.channel = \"email\"\nautomation = \"care\"\nreason = \"objected by web form\"\n";
const CONSENTS: &str =
    "[[require]]\nsource = \"list\"\nwhere.state = \"confirmed\"\nkind = \"marketing\"\n";

/// A table of these ids, with more cells behind each.
fn table(header: &str, ids: impl IntoIterator<Item = usize>, cells: &str) -> String {
    let rows = ids.into_iter().map(|id| format!("c-{id:02}{cells}\n"));
    format!("{header}\n{}", rows.collect::<String>())
}

fn people(count: usize) -> String {
    table("id", 1..=count, "")
}

fn objected(ids: impl IntoIterator<Item = usize>) -> String {
    table("id,channel", ids, ",email")
}

fn confirmed(ids: impl IntoIterator<Item = usize>) -> String {
    table("id,state", ids, ",confirmed")
}

fn repo(spotler: &Spotler, blocks: &str, people: &str, list: &str) -> Repo {
    let repo = Repo::with(&config(&spotler.url(), blocks));
    repo.write("crm.csv", people);
    repo.write("list.csv", list);
    repo
}

fn of(repo: &Repo, state: &str) -> Vec<String> {
    let all = repo.recorded().into_iter();
    all.filter_map(|line| {
        line.strip_suffix(state)
            .map(|line| line.trim_end().to_owned())
    })
    .collect()
}

#[test]
fn who_is_on_a_list_of_objections_is_withheld_where_it_holds_and_stopped() {
    let spotler = Spotler::open();
    let list = "id,channel\nc-01,email\nc-02,post\n";
    let repo = repo(&spotler, OBJECTIONS, &people(3), list);
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld"), ["care c-01"]);
    assert_eq!(of(&repo, "active").len(), 5);
    repo.write("list.csv", format!("{list}c-03,email\n"));
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop care c-03"]);
    let reason = "suppressed: objected by web form (rollcall.toml:21)";
    assert_eq!(plan.json()["actions"][0]["reason"], reason);
    repo.apply().exits(0);
    assert_eq!(repo.plan().actions(), [""; 0]);
    let explained = repo.run(&["explain", "c-01"]).exits(0).stdout;
    let line =
        "\n  suppressed by rollcall.toml:21: objected by web form, whatever the blocks above say\n";
    assert!(explained.contains(line), "{explained}");
    let left_out = repo.run(&["roster", "--left-out", "suppress"]).exits(0);
    assert!(
        left_out.stdout.contains("c-01  care") && !left_out.stdout.contains("bills"),
        "{}",
        left_out.stdout
    );
    let none = repo.run(&["roster", "--left-out", "require"]).exits(0);
    assert_eq!(none.stdout, "");
    // It is enough to forget somebody that no automation would trigger them again.
    repo.run(&["record", "forget", "c-01", "--yes"]).exits(1);
}

#[test]
fn who_is_not_on_a_list_of_consents_counts_as_suppressed() {
    let spotler = Spotler::open();
    let list = "id,state\nc-01,confirmed\nc-02,asked\n";
    let repo = repo(&spotler, CONSENTS, &people(3), list);
    let plan = repo.plan();
    let actions = [
        "trigger bills c-01",
        "trigger care c-01",
        "trigger bills c-02",
        "trigger bills c-03",
    ];
    assert_eq!(plan.actions(), actions);
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld"), ["care c-02", "care c-03"]);
    let explained = repo.run(&["explain", "c-02"]).exits(0).stdout;
    let line = "\n  not on the list of `list` (rollcall.toml:21), whatever the blocks above say\n";
    assert!(explained.contains(line), "{explained}");
    let left_out = repo
        .run(&["roster", "--left-out", "require", "--format", "json"])
        .exits(0);
    let first = &left_out.json()["left_out"][0];
    assert_eq!(first["left_out"]["by"], "require");
    assert_eq!(first["left_out"]["reason"], "not on the list of `list`");
    // What is on record of the block is the record's own affair.
    let listed = repo.run(&["record", "list"]).exits(0).stdout;
    assert!(!listed.contains("suppressed"), "{listed}");
    // Who withdraws a consent is stopped.
    repo.write("list.csv", "id,state\nc-01,withdrawn\nc-02,asked\n");
    let plan = repo.plan();
    assert_eq!(plan.actions(), ["stop care c-01"]);
    assert_eq!(
        plan.json()["actions"][0]["reason"],
        "not on the list of `list` (rollcall.toml:21)"
    );
    let expect = "[[expect]]\ncontact = \"c-02\"\nin = \"care\"\n";
    repo.write(
        "rollcall.toml",
        config(&spotler.url(), &format!("{CONSENTS}{expect}")),
    );
    let failed = repo.run(&["validate"]).exits(1).stderr;
    assert!(
        failed.contains("it is not on the list of `list`"),
        "{failed}"
    );
}

#[test]
fn consents_that_come_in_are_no_release_however_many() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, CONSENTS, &people(30), &confirmed([1]));
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld").len(), 29);
    repo.write("list.csv", confirmed(1..=30));
    let plan = repo.plan().json();
    assert_eq!(plan["guard"]["refused"], false, "{plan}");
    assert_eq!(
        plan["actions"][0]["reason"],
        "now on the list that [[require]] asks for"
    );
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld"), [""; 0]);
}

#[test]
fn that_a_requirement_is_gone_or_is_another_one_releases() {
    let others = [
        "",
        "[[require]]\nsource = \"list\"\nwhere.state = [\"confirmed\", \"asked\"]\nkind = \"marketing\"\n",
        "[[require]]\nsource = \"list\"\nwhere.state = \"confirmed\"\nkind = \"service\"\n",
        "[[require]]\nsource = \"list\"\nwhere.state = \"confirmed\"\nautomation = \"bills\"\n",
    ];
    for other in others {
        let spotler = Spotler::open();
        let asked = table("id,state", 1..=11, ",asked");
        let list = format!("{asked}c-12,confirmed\n");
        let repo = repo(&spotler, CONSENTS, &people(12), &list);
        repo.apply().exits(0);
        repo.write("rollcall.toml", config(&spotler.url(), other));
        let refused = repo.apply().exits(4).stderr;
        assert!(
            refused.contains(
                "too many people would be triggered whose suppression is gone: 11, the limit is 10"
            ),
            "{other}: {refused}"
        );
        repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
    }
}

#[test]
fn who_is_released_on_one_day_counts_together_by_a_requirement_too() {
    let spotler = Spotler::open();
    // Nobody is in any other automation meanwhile.
    let config =
        |blocks: &str| config(&spotler.url(), blocks).replace("[\"bills\", \"care\"]", "\"care\"");
    let repo = repo(&spotler, CONSENTS, &people(8), &confirmed([99]));
    repo.write("rollcall.toml", config(CONSENTS));
    repo.apply().exits(0);
    repo.write("crm.csv", people(15));
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld").len(), 15);
    repo.write("crm.csv", people(8));
    repo.write("rollcall.toml", config(""));
    repo.apply().exits(0);
    repo.write("crm.csv", people(15));
    let refused = repo.apply().exits(4).stderr;
    assert!(
        refused.contains("with 8 triggered in the last 24 hours"),
        "{refused}"
    );
}

#[test]
fn a_requirement_that_changes_while_people_stay_off_its_list_is_noted() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, CONSENTS, &people(12), &confirmed([99]));
    repo.apply().exits(0);
    let other = CONSENTS.replace("\"confirmed\"", "[\"confirmed\", \"double\"]");
    repo.write("rollcall.toml", config(&spotler.url(), &other));
    repo.apply().exits(0);
    repo.write("list.csv", confirmed(1..=12));
    let plan = repo.plan().json();
    assert_eq!(plan["guard"]["refused"], false, "{plan}");
}

#[test]
fn service_mail_is_set_free_by_its_new_kind_as_a_release() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, CONSENTS, &people(11), &confirmed([99]));
    repo.apply().exits(0);
    let care = "[automation.care]\ntrigger_code = \"care\"\n";
    let now =
        config(&spotler.url(), CONSENTS).replace(care, &format!("{care}kind = \"service\"\n"));
    repo.write("rollcall.toml", now);
    let refused = repo.apply().exits(4).stderr;
    assert!(
        refused.contains("suppression is gone: 11, the limit is 10"),
        "{refused}"
    );
}

#[test]
fn a_block_has_a_limit_of_its_own_for_its_people() {
    let spotler = Spotler::open();
    let own = format!("{OBJECTIONS}max_released = 2\n");
    let repo = repo(&spotler, &own, &people(20), &objected(1..=15));
    repo.apply().exits(0);
    repo.write("list.csv", objected(4..=15));
    let refused = repo.apply().exits(4).stderr;
    assert!(
        refused.contains("suppression is gone: 3, the limit is 2")
            && refused.contains("(max_released at rollcall.toml:26)"),
        "{refused}"
    );
    // To raise it takes no new block.
    let raised = format!("{OBJECTIONS}max_released = 15\n");
    repo.write("rollcall.toml", config(&spotler.url(), &raised));
    repo.write("list.csv", objected([15]));
    repo.apply().exits(0);
    assert_eq!(of(&repo, "withheld"), ["care c-15"]);
}

#[test]
fn the_stops_of_a_list_of_consents_that_ran_dry_or_was_cut_are_not_sent() {
    for list in ["id,state\n", "id,state\nc-01,confirmed\nc-02,confirmed"] {
        let spotler = Spotler::open();
        let named = "[[suppress]]\ncontacts = [\"c-30\"]\n";
        let blocks = |more: &str| config(&spotler.url(), &format!("{CONSENTS}{more}"));
        let repo = repo(&spotler, CONSENTS, &people(30), &confirmed(1..=30));
        repo.apply().exits(0);
        repo.write("rollcall.toml", blocks(named));
        repo.write("list.csv", list);
        let before = spotler.ledger().len();
        let refused = repo.apply().exits(4).stderr;
        let why = match list.contains("c-02") {
            false => "source list has no rows, and had 30 at the last apply",
            true => "source list ends in the middle of a line",
        };
        assert!(refused.contains(why), "{refused}");
        // But who objected by name is stopped.
        assert_eq!(
            spotler.ledger()[before..],
            ["stop bills c-30", "stop care c-30"]
        );
        // And where it is meant, so is everybody.
        repo.run(&["apply", "--yes", "--allow-large"]).exits(0);
        let running = of(&repo, "active")
            .into_iter()
            .filter(|of| of.starts_with("care"));
        assert_eq!(running.count(), list.matches("confirmed").count());
    }
}

#[test]
fn the_stop_of_who_objected_reaches_nothing_that_a_dry_list_would_stop() {
    let spotler = Spotler::open();
    let second = "[automation.news]\ntrigger_code = \"care\"\n\
                  [[enrol]]\nautomation = \"news\"\nsource = \"crm\"\n";
    let blocks = format!("{CONSENTS}{second}");
    let repo = repo(&spotler, &blocks, &people(2), &confirmed(1..=2));
    repo.apply().exits(0);
    let objected = "[[suppress]]\ncontacts = [\"c-01\"]\nautomation = \"care\"\n";
    let more = format!("{blocks}{objected}");
    repo.write("rollcall.toml", config(&spotler.url(), &more));
    repo.write("list.csv", "id,state\n");
    repo.apply().exits(4);
    assert_eq!(of(&repo, "stopped"), ["care c-01"]);
    let running = spotler.running();
    let of_it = running
        .iter()
        .filter(|of| (&*of.0, &*of.1) == ("c-01", "care"));
    assert_eq!(of_it.count(), 1, "{running:?}");
}

#[test]
fn one_who_would_be_stopped_by_a_dry_list_is_enough_to_refuse() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, CONSENTS, &people(1), &confirmed([1]));
    repo.apply().exits(0);
    repo.write("list.csv", "id,state\n");
    repo.apply().exits(4);
    assert_eq!(of(&repo, "active"), ["bills c-01", "care c-01"]);
}

#[test]
fn nobody_is_triggered_while_a_list_of_objections_has_run_dry() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, OBJECTIONS, &people(3), &objected([1]));
    repo.apply().exits(0);
    repo.write("list.csv", "id,channel\n");
    let refused = repo.apply().exits(4).stderr;
    assert!(refused.contains("source list has no rows"), "{refused}");
    // Who is new may have objected too.
    repo.write("list.csv", objected([1]));
    repo.apply().exits(0);
    repo.write("crm.csv", people(4));
    repo.write("list.csv", "id,channel\n");
    repo.apply().exits(4);
    assert_eq!(of(&repo, "withheld"), ["care c-01"]);
    // A list that cannot be read plans nothing.
    std::fs::remove_file(repo.file("list.csv")).unwrap();
    repo.apply().exits(1);
}

#[test]
fn what_is_wrong_with_a_block_is_an_error_with_advice() {
    let spotler = Spotler::open();
    let wrong = [
        (
            "[[suppress]]\ncontacts = [\"c-1\"]\nsource = \"list\"\n",
            "both `contacts` and a `source`",
        ),
        (
            "[[suppress]]\nreason = \"x\"\n",
            "add contacts = [\"…\"], or source = \"…\"",
        ),
        (
            "[[suppress]]\ncontacts = [\"c-1\"]\nwhere.a = 1\n",
            "`where` is about the rows of a `source`",
        ),
        (
            "[[require]]\nkind = \"marketing\"\n",
            "[[require]] has no `source`",
        ),
        (
            "[[require]]\nsource = \"lists\"\n",
            "did you mean \"list\"?",
        ),
        (
            "[[require]]\nsource = \"list\"\nwhere.stat = \"x\"\n",
            "did you mean `state`?",
        ),
        (
            "[[require]]\nsource = \"list\"\ncontacts = [\"c-1\"]\n",
            "[[require]] has no setting `contacts`",
        ),
        (
            "[[require]]\nsource = \"list\"\nreason = \"x\"\n",
            "takes `source`, `where`, ",
        ),
        (
            "[[require]]\nsource = \"list\"\nmax_released = -1\n",
            "must not be negative",
        ),
    ];
    for (blocks, message) in wrong {
        let repo = repo(&spotler, blocks, &people(1), &confirmed([1]));
        let said = repo.run(&["validate"]).exits(1).stderr;
        assert!(said.contains(message), "{blocks}: {said}");
    }
}

#[test]
fn a_list_comes_before_what_it_decides_about_even_as_a_query() {
    let spotler = Spotler::open();
    let query = "[source.late]\nfrom = [\"crm\", \"list\"]\nquery = \"select id from crm join list using (id)\"\ncontact = \"id\"\n\
                 [[suppress]]\nsource = \"late\"\n";
    let repo = repo(&spotler, query, &people(2), &objected([2, 3]));
    let toml = config(&spotler.url(), query)
        .replace("contact = \"id\"\n", "contact = \"id\"\nmin_rows = 1\n");
    repo.write("rollcall.toml", toml);
    assert_eq!(
        repo.plan().actions(),
        ["trigger bills c-01", "trigger care c-01"]
    );
    let explained = repo.run(&["explain", "c-02"]).exits(0).stdout;
    assert!(
        explained.contains("suppressed: on the list of `late` ("),
        "{explained}"
    );
}

#[test]
fn an_objection_under_another_writing_is_reported() {
    let spotler = Spotler::open();
    let repo = repo(&spotler, OBJECTIONS, &people(2), "id,channel\nC-01,email\n");
    let refused = repo.apply().exits(4).stderr;
    assert!(
        refused.contains(
            "1 suppressed contact would be triggered under an id that is written differently"
        ),
        "{refused}"
    );
    let warned = repo.run(&["validate"]).exits(0).stderr;
    assert!(
        warned.contains("c-01") && warned.contains("written almost like"),
        "{warned}"
    );
}

#[test]
fn a_person_with_two_ids_is_on_a_list_by_either() {
    const MERGED: &str = "[[merged]]\nfrom = [\"c-01\"]\nto = \"c-09\"\n";
    let spotler = Spotler::open();
    let blocks = format!("{CONSENTS}{MERGED}");
    let list = "id,state\nc-01,confirmed\nc-09,asked\n";
    let person = "id\nc-09\n";
    let consenting = repo(&spotler, &blocks, person, list);
    let both = ["trigger bills c-09", "trigger care c-09"];
    assert_eq!(consenting.plan().actions(), both);
    let explained = consenting.run(&["explain", "c-09"]).exits(0).stdout;
    assert!(explained.contains("care: in"), "{explained}");

    let blocks = format!("{OBJECTIONS}{MERGED}");
    let list = "id,channel\nc-01,email\nc-09,post\n";
    for person in [person, "id\nc-01\n"] {
        let objecting = repo(&spotler, &blocks, person, list);
        assert_eq!(objecting.plan().actions(), ["trigger bills c-09"]);
        let explained = objecting.run(&["explain", "c-01"]).exits(0).stdout;
        assert!(explained.contains("objected by web form"), "{explained}");
    }
}

#[test]
fn a_list_of_consents_that_changed_how_it_writes_ids_stops_nobody() {
    for runs_for in ["", "runs_for = \"21d\"\n"] {
        let spotler = Spotler::open();
        let blocks = format!("{CONSENTS}[automation.short]\ntrigger_code = \"short\"\n{runs_for}");
        let enrol = "[[enrol]]\nautomation = \"short\"\nsource = \"crm\"\n";
        let repo = repo(
            &spotler,
            &format!("{blocks}{enrol}"),
            &people(30),
            &confirmed(1..=30),
        );
        repo.apply().exits(0);
        let calls = spotler.calls();
        let list = confirmed(1..=30)
            .replace("c-07", "C-07")
            .replace("c-08", "c-8");
        repo.write("list.csv", list);
        let gone = repo.plan();
        let why = gone.json()["guard"]["reasons"].to_string();
        let says = "2 contacts would be stopped, or taken for suppressed, whose ids a required list writes differently: c-07 is C-07 on it";
        assert!(why.contains(says), "{why}");
        let refused = repo.run(&["apply", "--yes"]).exits(4);
        assert!(
            refused.stderr.contains("whose ids a required list writes"),
            "{}",
            refused.stderr
        );
        assert_eq!(spotler.calls(), calls);
        if !runs_for.is_empty() {
            let days = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 30);
            let later = ["plan", "--format", "json", "--now", &days.to_string()];
            let plan = repo.run(&later).exits(0).json();
            let why = plan["guard"]["reasons"].to_string();
            assert!(why.contains("2 contacts would be stopped"), "{why}");
            // Of what has ended alone.
            let only = ["--automation", "short"];
            let plan = repo.run(&[&later[..], &only].concat()).exits(0).json();
            assert_eq!(plan["actions"], serde_json::json!([]));
            let why = plan["guard"]["reasons"].to_string();
            assert!(
                why.contains("2 contacts would be stopped, or taken for"),
                "{why}"
            );
        }
        // Who is not on the list in any letters has withdrawn.
        let list = confirmed((1..=30).filter(|of| *of != 9)).replace("c-07", "C-07");
        repo.write("list.csv", list);
        repo.run(&["apply", "--yes"]).exits(4);
        assert_eq!(spotler.calls(), calls + 2);
        assert_eq!(of(&repo, "active").len(), 90 - 2);
        // Where both are declared, they are two people, and one has withdrawn.
        let others = (1..=30).filter(|of| *of != 10);
        repo.write("list.csv", confirmed(others) + "C-10,confirmed\n");
        repo.write("crm.csv", people(30) + "C-10\n");
        let plan = repo.plan();
        assert_eq!(plan.json()["guard"]["reasons"], serde_json::json!([]));
        assert!(plan.actions().contains(&"stop care c-10".to_owned()));
    }
}
