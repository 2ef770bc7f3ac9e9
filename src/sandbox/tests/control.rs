//! The control below `/_sandbox/`.

use super::*;

#[tokio::test]
async fn the_ledger_comes_in_lines_and_from_a_place_on() {
    let trial = Trial::start(Options::default()).await;
    for n in 0..2500 {
        trial.trigger(&format!("crm-{n}")).await;
    }
    let address = trial.running.address();
    let read = async |query: &str| {
        let url = format!("http://{address}/_sandbox/ledger{query}");
        let text = trial
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<crate::sandbox::LedgerEntry>>()
    };
    assert_eq!(read("").await, trial.running.ledger());
    let rest = read("?after=2498").await;
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0].seq, 2499);
    assert_eq!(read("?after=9999").await, []);
    let all = trial
        .control(Method::GET, "participations", None)
        .await
        .body;
    assert_eq!(all.as_array().unwrap().len(), 2500);
    let one = trial
        .control(Method::GET, "participations?contact=crm-2400", None)
        .await
        .body;
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn participations_finish_and_are_listed_by_where_they_stand() {
    let trial = Trial::with_setting(Setting::OnceWhileRunning).await;
    let list = async |query: &str| {
        let path = format!("participations{query}");
        let list = trial.control(Method::GET, &path, None).await.body;
        let list = list.as_array().unwrap().iter();
        list.map(|p| {
            format!(
                "{} {}",
                p["contact"].as_str().unwrap(),
                p["state"].as_str().unwrap()
            )
        })
        .collect::<Vec<String>>()
    };
    assert!(list("").await.is_empty());
    for contact in ["a", "b", "c"] {
        trial.trigger(contact).await;
    }
    trial.stop("c").await;
    let finished = trial
        .control(Method::POST, "advance", Some(json!({ "contact": "a" })))
        .await;
    assert_eq!(finished.body, json!({ "finished": 1 }));
    assert_eq!(list("").await, ["b active"]);
    assert_eq!(
        list("?state=all").await,
        ["a finished", "b active", "c stopped"]
    );
    assert_eq!(list("?contact=a").await, [""; 0]);
    assert_eq!(trial.trigger("a").await.status, 200);
    assert_eq!(trial.trigger("b").await.status, 417);
    let all = trial.control(Method::POST, "advance", None).await;
    assert_eq!(all.body, json!({ "finished": 2 }));
    let totals = trial.control(Method::GET, "totals", None).await.body;
    assert_eq!(
        totals,
        json!({ "entries": 8, "triggers": 4, "stops": 1, "started": 4, "active": 0 })
    );
}

#[tokio::test]
async fn automations_contacts_and_faults_can_be_replaced() {
    let trial = Trial::with_setting(Setting::Unlimited).await;
    let put = async |path: &str, body: Value| {
        let got = trial.control(Method::PUT, path, Some(body)).await;
        assert_eq!(got.status, 204, "{got:?}");
    };
    put("unknown", json!(["crm-*"])).await;
    assert_eq!(trial.trigger("crm-1").await.status, 404);
    put("unknown", json!([])).await;
    put(
        "automations",
        json!([{ "name": "A", "code": CODE, "publications": [{ "active": false }] }]),
    )
    .await;
    assert_eq!(trial.trigger("crm-1").await.status, 417);
    put("automations", json!([{ "name": "A", "code": CODE }])).await;
    assert_eq!(trial.trigger("crm-1").await.status, 200);
    put(
        "faults",
        json!({ "seed": 3, "rules": [{ "fault": "limit", "times": 1 }] }),
    )
    .await;
    assert_eq!(trial.trigger("crm-1").await.status, 429);
    assert_eq!(trial.trigger("crm-1").await.status, 200);
    assert_eq!(trial.stats().await.faults, [1]);

    let wrong = trial
        .control(Method::PUT, "faults", Some(json!({ "rules": 5 })))
        .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        trial.control(Method::GET, "nothing", None).await.status,
        404
    );
}

#[tokio::test]
async fn credentials_are_revoked_and_restored() {
    let trial = Trial::start(Options::default()).await;
    let revoke = async |revoked: bool| {
        let body = json!({ "revoked": revoked });
        trial.control(Method::POST, "credentials", Some(body)).await;
    };
    revoke(true).await;
    let got = trial.trigger("crm-1").await;
    assert_eq!(
        (got.status, &got.body["errorType"]),
        (401, &json!("NOT_AUTHORIZED"))
    );
    revoke(false).await;
    assert_eq!(trial.trigger("crm-1").await.status, 200);
}

#[tokio::test]
async fn a_reset_forgets_what_happened_and_plays_the_faults_again() {
    let trial = Trial::with_faults(&["error-after@2"]).await;
    for _ in 0..2 {
        let mut statuses = Vec::new();
        for contact in ["a", "b", "c"] {
            statuses.push(trial.trigger(contact).await.status);
        }
        assert_eq!(statuses, [200, 500, 200]);
        assert_eq!(trial.running.ledger().len(), 3);
        trial.control(Method::POST, "reset", None).await;
        assert!(trial.running.ledger().is_empty());
        assert_eq!(
            trial.stats().await,
            super::super::Stats {
                faults: vec![0],
                ..Default::default()
            }
        );
    }
}

#[tokio::test]
async fn calls_are_counted_by_kind_and_answer() {
    let trial = Trial::with_faults(&["reset-after@4"]).await;
    trial.trigger("a").await;
    trial.trigger("b").await;
    trial.stop("a").await;
    assert!(trial.try_trigger("c").await.is_err());
    let url = format!("{}/automation/list", trial.running.base_url());
    trial.http.get(url).send().await.unwrap();
    let stats = serde_json::to_value(trial.stats().await).unwrap();
    assert_eq!(
        stats,
        json!({
            "calls": 5, "kinds": { "trigger": 3, "stop": 1 }, "statuses": { "200": 2, "204": 1, "401": 1 },
            "faults": [1], "under_way": 0, "most_under_way": 1
        })
    );
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let refused = start(Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Options::default()
    })
    .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("loopback interface only"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let trial = Trial::start(Options::default()).await;
    let listen = trial.running.address();
    let refused = start(Options {
        listen,
        ..Options::default()
    })
    .await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains(&listen.to_string()), "{error}");
}
