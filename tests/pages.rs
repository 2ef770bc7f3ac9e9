//! The pages in a real browser: what they show, by keyboard and pointer, in the dark and on a telephone.
//!
//! Where there is no Chromium, nothing is tested, and that is said. `ROLLCALL_SCREENSHOTS=DIR` keeps pictures.

mod common;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Repo, Spotler};
use serde_json::{Value, json};

/// A browser with one page, spoken to through a pipe (the Chrome DevTools protocol).
struct Browser {
    process: Child,
    to: RefCell<ChildStdin>,
    from: mpsc::Receiver<Value>,
    session: RefCell<Option<String>>,
    last: RefCell<u64>,
    /// What the page did that no page of ours does: requests, errors, dialogs.
    oddities: RefCell<Vec<String>>,
    _profile: tempfile::TempDir,
}

const PATIENCE: Duration = Duration::from_secs(120);

impl Browser {
    /// `None` where none is installed.
    fn start() -> Option<Self> {
        let is_there = |name: &&str| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        };
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let Some(name) = names.into_iter().find(is_there) else {
            eprintln!(
                "NOT TESTED: no Chromium is installed, so that the pages were not looked at in a browser"
            );
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        // The protocol is spoken on the descriptors 3 and 4.
        let mut process = Command::new("sh")
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null",
                name,
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let (sender, from) = mpsc::channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|len| len > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let browser = Self {
            process,
            to: RefCell::new(to),
            from,
            session: RefCell::default(),
            last: RefCell::default(),
            oddities: RefCell::default(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.ask(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        *browser.session.borrow_mut() = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn send(&self, method: &str, params: Value) -> u64 {
        let id = *self.last.borrow() + 1;
        *self.last.borrow_mut() = id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &*self.session.borrow() {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.borrow_mut().write_all(&bytes).unwrap();
        id
    }

    fn receive(&self) -> Value {
        let message = self
            .from
            .recv_timeout(PATIENCE)
            .expect("the browser answers");
        let params = &message["params"];
        let odd = match message["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap();
                (!url.starts_with("file:")).then(|| format!("a request: {url}"))
            }
            Some("Runtime.exceptionThrown") => Some(format!("an error: {params}")),
            Some("Runtime.consoleAPICalled") => Some(format!("on the console: {params}")),
            Some("Log.entryAdded") => Some(format!("a log: {params}")),
            Some("Page.javascriptDialogOpening") => Some(format!("a dialog: {params}")),
            _ => None,
        };
        self.oddities.borrow_mut().extend(odd);
        message
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        loop {
            let message = self.receive();
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a file and waits until it has loaded.
    fn open(&self, path: &Path) {
        self.send(
            "Page.navigate",
            json!({ "url": format!("file://{}", path.display()) }),
        );
        while self.receive()["method"] != "Page.loadEventFired" {}
    }

    /// What an expression is in the page; a promise is waited for.
    fn eval(&self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", params);
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until a condition holds in the page.
    fn until(&self, condition: &str) {
        let held = self.eval(&format!(
            "new Promise((done) => {{ const end = Date.now() + 60000; const look = () => \
             ({condition}) ? done(true) : Date.now() > end ? done(false) : setTimeout(look, 10); look(); }})"
        ));
        assert_eq!(held, true, "{condition}");
    }

    fn key(&self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            let params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.ask("Input.dispatchKeyEvent", params);
        }
    }

    fn tab(&self) -> Value {
        self.key("Tab", 9);
        self.eval("document.activeElement.id")
    }

    fn screen(&self, width: u32, scheme: &str) {
        let height = if width < 500 { 812 } else { 800 };
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 }),
        );
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// Keeps a picture where they are asked for.
    fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("ROLLCALL_SCREENSHOTS") else {
            return;
        };
        let answer = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        use base64::Engine;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap());
        std::fs::write(
            Path::new(&folder).join(format!("{name}.png")),
            bytes.unwrap(),
        )
        .unwrap();
    }

    fn nothing_odd(&self) {
        self.eval("1");
        assert_eq!(*self.oddities.borrow(), [""; 0]);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The texts whose contrast with what is behind them is below that of WCAG AA.
const FAINT: &str = r#"(() => {
  const rgb = (text) => { const m = text.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255]; };
  const faint = [];
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "");
    if (!own || e.disabled || e.closest("script, style, noscript, svg") || e.getClientRects().length === 0) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(e.tagName + "." + e.className + " " + e.textContent.slice(0, 20) + " " + ratio.toFixed(2));
  }
  return faint;
})()"#;

/// What reaches out of the box that it is in, and words and ids that are broken.
const SPILT: &str = r#"(() => {
  const spilt = [];
  const is_within = (box, of) => box.right <= of.right + 1 && box.left >= of.left - 1;
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("script, style, noscript, svg, select, caption") || e.getClientRects().length === 0) continue;
    if (e.closest("thead") && getComputedStyle(e.closest("thead")).position === "absolute") continue;
    const box = e.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(e);
    const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== "");
    const lines = text ? [...range.getClientRects()] : [];
    const is_whole = e.matches(".kind, .when, .n") || (innerWidth > 500 && e.matches("td.id:not(.long)"));
    if (!is_within(box, e.parentElement.getBoundingClientRect()) || lines.some((line) => !is_within(line, box))
        || (is_whole && new Set(lines.map((line) => line.top)).size > 1)) {
      spilt.push(e.tagName + "." + e.className + " " + e.textContent.slice(0, 30));
    }
  }
  return spilt;
})()"#;

/// Looks at a page in both widths and both lights.
fn looks_well_everywhere(browser: &Browser, name: &str) {
    for width in [400, 1280] {
        for scheme in ["light", "dark"] {
            browser.screen(width, scheme);
            let at = format!("{name}-{width}-{scheme}");
            browser.picture(&at);
            assert_eq!(browser.eval(FAINT), json!([]), "{at}");
            assert_eq!(browser.eval(SPILT), json!([]), "{at}");
            let too_wide = browser.eval("document.documentElement.scrollWidth - innerWidth");
            assert!(
                too_wide.as_i64().unwrap() <= 0,
                "{at}: {too_wide} pixels too wide"
            );
        }
    }
    browser.screen(1280, "light");
    // Everything that can be operated has a name.
    let nodes = browser.ask("Accessibility.getFullAXTree", json!({}));
    for node in nodes["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let operated = [
            "searchbox",
            "textbox",
            "combobox",
            "button",
            "spinbutton",
            "link",
            "image",
            "img",
            "table",
        ];
        if operated.contains(&role) && node["ignored"] != true {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.is_empty(), "{node}");
        }
    }
}

const CONFIG: &str = r#"
[spotler]
base_url = "sandbox"
rate = "100000/s"
[guard]
max_triggers = 20
[source.crm]
csv = "crm.csv"
contact = "id"
[automation.customer-lifecycle]
trigger_code = "0b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[automation.welcome]
trigger_code = "1b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[automation.winback-of-those-who-left-us-in-2024-and-2025-netherlands-and-belgium]
trigger_code = "2b8f9a52-6d0c-4f1c-8f53-2d6c9c0a7f11"
[[enrol]]
automation = "customer-lifecycle"
source = "crm"
where.status = "customer"
[[enrol]]
automation = "welcome"
source = "crm"
where.status = "prospect"
[[enrol]]
automation = "winback-of-those-who-left-us-in-2024-and-2025-netherlands-and-belgium"
source = "crm"
where.status = "ex-customer"
"#;

/// A life in which some become customers and some are customers no longer; and two with odd ids: markup, and a long one.
fn lifecycle() -> Repo {
    let repo = Repo::with(CONFIG);
    let rows = |status: &dyn Fn(u32) -> &'static str, range: std::ops::Range<u32>| {
        let rows = range.map(|n| format!("crm-{n},{}\n", status(n)));
        format!("id,status\n{}", rows.collect::<String>())
    };
    let before = |n: u32| match n % 10 {
        0 | 1 => "prospect",
        2 => "ex-customer",
        _ => "customer",
    };
    repo.write("crm.csv", rows(&before, 1000..1400));
    repo.run(&["adopt", "--yes"]).exits(0);
    let after = move |n: u32| match (n % 10, n % 3, n % 29) {
        (0 | 1, 0, _) => "customer",
        (_, _, 0) => "ex-customer",
        _ => before(n),
    };
    let odd = "</script><img src=x onerror=alert(1)>";
    let long = format!("crm-{}", "0".repeat(90));
    repo.write(
        "crm.csv",
        format!(
            "{}{odd},prospect\n{long},customer\n",
            rows(&after, 1000..1460)
        ),
    );
    repo
}

fn page(repo: &Repo, args: &[&str]) -> std::path::PathBuf {
    let html = repo.run(args).exits(0).stdout;
    repo.write("page.html", html);
    repo.file("page.html")
}

#[test]
fn a_plan_can_be_read_and_searched_by_keyboard_in_any_light_and_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    let path = page(
        &repo,
        &["plan", "--format", "html", "--now", "2026-11-23T09:00:00Z"],
    );
    browser.screen(1280, "light");
    browser.open(&path);
    looks_well_everywhere(&browser, "plan");
    let plan = repo.plan().json();
    let actions = plan["actions"].as_array().unwrap();
    assert!(actions.len() > 100);
    let shown = format!("Rows 1 to 100 of {}", actions.len());
    assert_eq!(
        browser.eval("document.getElementById('shown').textContent"),
        json!(shown)
    );
    assert!(
        browser
            .eval("document.body.innerText")
            .as_str()
            .unwrap()
            .contains("The guard refuses")
    );
    // By keyboard: past the reasons to the search, a word, the answer; and on to the pages.
    assert!((0..20).any(|_| browser.tab() == "text"));
    browser.ask("Input.insertText", json!({ "text": "onERROR" }));
    browser
        .until("document.getElementById('shown').textContent.startsWith('Rows 1 to 1 of 1 found')");
    let cells = browser
        .eval("[...document.querySelectorAll('#list tbody td')].map((cell) => cell.textContent)");
    assert_eq!(
        cells,
        json!([
            "trigger",
            "</script><img src=x onerror=alert(1)>",
            "welcome",
            "new",
            "rollcall.toml:20"
        ])
    );
    assert_eq!(browser.eval("document.images.length"), 0);
    browser.eval("document.getElementById('text').select()");
    browser.key("Delete", 46);
    browser.until(&format!(
        "document.getElementById('shown').textContent === {shown:?}"
    ));
    assert_eq!(browser.tab(), "kind");
    browser.key("ArrowDown", 40);
    browser.key("ArrowDown", 40);
    let stops = actions
        .iter()
        .filter(|action| action["action"] == "stop")
        .count();
    browser.until(&format!(
        "document.getElementById('shown').textContent.includes(' of {stops} found')"
    ));
    browser.key("Home", 36);
    browser.until(&format!(
        "document.getElementById('shown').textContent === {shown:?}"
    ));
    assert_eq!(browser.tab(), "automation");
    // Where the table is wider than the screen, it is reached on the way, to be moved by keys.
    assert!((0..2).any(|_| browser.tab() == "next"));
    browser.key("Enter", 13);
    browser.until("document.getElementById('shown').textContent.startsWith('Rows 101 to ')");
    let first = browser.eval("document.querySelector('#list tbody tr').cells[1].textContent");
    assert_eq!(first, actions[100]["contact"]);
    // It was the last page: there is a button for the keyboard all the same.
    assert_eq!(browser.eval("document.activeElement.id"), "back");
    browser.eval("document.getElementById('page').value = ''; document.getElementById('page').dispatchEvent(new Event('change'))");
    browser.until("document.getElementById('shown').textContent.startsWith('Rows 1 to 100')");
    browser.nothing_odd();
}

#[test]
fn a_plan_is_grouped_and_sorted_and_names_stay_on_one_line() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    let toml = format!("[time]\nzone = \"Europe/Amsterdam\"\n{CONFIG}");
    repo.write("rollcall.toml", toml);
    let args = ["plan", "--format", "html", "--now", "2026-11-23T09:00:00Z"];
    browser.screen(1280, "light");
    browser.open(&page(&repo, &args));
    let text = browser.eval("document.body.innerText");
    let both = "2026-11-23 10:00 Europe/Amsterdam (2026-11-23 09:00 UTC)";
    assert!(text.as_str().unwrap().contains(both), "{text}");
    let groups = browser.eval(
        "[...document.querySelectorAll('.groups tbody')].map((of) => [...of.rows].map((row) => \
         [...row.cells].slice(0, 3).map((cell) => cell.textContent).join(' | ')))",
    );
    let why = "stop | 10 | status is \"ex-customer\", wanted \"customer\"";
    let group = groups.as_array().unwrap().iter();
    let mut group = group.filter(|rows| rows[0] == "customer-lifecycle");
    assert!(
        group
            .next()
            .unwrap()
            .as_array()
            .unwrap()
            .contains(&json!(why)),
        "{groups}"
    );
    assert!(group.next().is_none());
    // A reason shows its rows.
    browser.eval(
        "[...document.querySelectorAll('.pick')].find((of) => of.textContent.includes('\"ex-customer\", wanted')).click()",
    );
    let found =
        "document.getElementById('shown').textContent.startsWith('Rows 1 to 10 of 10 found')";
    browser.until(found);
    browser.eval("document.getElementById('text').value = ''; document.getElementById('kind').value = ''; \
         document.getElementById('automation').value = ''; document.getElementById('text').dispatchEvent(new Event('input'))");
    browser.until("document.getElementById('shown').textContent.startsWith('Rows 1 to 100 of')");
    // By a click, and by keys: once one way, once the other.
    let first = "document.querySelector('#list tbody tr').cells[1].textContent";
    let sort = |way: &str| {
        browser.eval("document.querySelectorAll('#list th button')[1].click()");
        let heading = "document.querySelectorAll('#list th')[1].getAttribute('aria-sort')";
        assert_eq!(browser.eval(heading), way);
        browser.eval(first)
    };
    assert_eq!(sort("ascending"), "</script><img src=x onerror=alert(1)>");
    assert_eq!(sort("descending"), "crm-1459");
    browser.eval("document.querySelectorAll('#list th button')[0].focus()");
    browser.key("ArrowRight", 39);
    browser.key("ArrowRight", 39);
    browser.key("Enter", 13);
    browser.until(
        "document.querySelectorAll('#list th')[2].getAttribute('aria-sort') === 'ascending'",
    );
    assert_eq!(
        browser.eval("document.querySelector('#list tbody tr').cells[2].textContent"),
        "customer-lifecycle"
    );
    let broken = browser.eval(
        "[...document.querySelectorAll('.id:not(.long)')].filter((cell) => { const range = document.createRange(); \
         range.selectNodeContents(cell); return range.getClientRects().length > 1; }).map((cell) => cell.textContent)",
    );
    assert_eq!(broken, json!([]));
    // The longest bar is as wide as there is room, and the others as they have people.
    let widths = browser.eval(
        "[...document.querySelectorAll('.bar')].map((bar) => Math.round([...bar.children].reduce((sum, part) => \
         sum + part.width.baseVal.value, 0)))",
    );
    let widths: Vec<u64> = serde_json::from_value(widths).unwrap();
    assert!(
        (1000..1010).contains(&widths[0]) && widths[1] < 300,
        "{widths:?}"
    );
    browser.nothing_odd();
}

/// Puts the configuration in Git.
fn commit(repo: &Repo) {
    for args in [
        &["init", "-q"][..],
        &["add", "rollcall.toml"],
        &[
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "commit",
            "-qm",
            "first",
        ],
    ] {
        let git = Command::new("git")
            .args(args)
            .current_dir(repo.path())
            .status();
        assert!(git.unwrap().success(), "{args:?}");
    }
}

#[test]
fn a_change_of_rules_can_be_read_in_any_light_and_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    commit(&repo);
    let changed = CONFIG.replace("\"prospect\"", "[\"prospect\", \"customer\"]");
    repo.write(
        "rollcall.toml",
        changed.replace("\"ex-customer\"", "\"nobody\""),
    );
    let path = page(&repo, &["plan", "--against", "HEAD", "--format", "html"]);
    browser.screen(1280, "light");
    browser.open(&path);
    looks_well_everywhere(&browser, "against");
    let text = browser.eval("document.body.innerText");
    for word in [
        "come in",
        "winback",
        "wanted \"nobody\"",
        "rollcall.toml:24 at HEAD",
    ] {
        assert!(text.as_str().unwrap().contains(word), "{word}: {text}");
    }
    browser.nothing_odd();
}

#[test]
fn a_plan_says_the_most_important_without_javascript() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    let path = page(&repo, &["plan", "--format", "html"]);
    browser.ask(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": true }),
    );
    browser.screen(1280, "light");
    browser.open(&path);
    let text = browser.eval("document.body.innerText");
    let text = text.as_str().unwrap();
    for word in [
        "to trigger",
        "The guard refuses",
        "customer-lifecycle",
        "this page needs JavaScript",
        "crm-",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(browser.eval("document.getElementById('find').hidden"), true);
    assert_eq!(
        browser.eval("document.querySelectorAll('#list tbody tr').length"),
        100
    );
    browser.nothing_odd();
}

#[test]
fn a_hundred_thousand_rows_are_searched_without_being_drawn() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = Repo::with(CONFIG);
    let rows: String = (0..100_100)
        .map(|n| format!("crm-{n:06},prospect\n"))
        .collect();
    repo.write("crm.csv", format!("id,status\n{rows}"));
    let path = page(&repo, &["plan", "--format", "html"]);
    browser.screen(1280, "light");
    let began = Instant::now();
    browser.open(&path);
    let loaded = began.elapsed();
    let text = browser.eval("document.body.innerText");
    let cut = "100,100 actions; the first 100,000 of them are in the table. rollcall plan --all shows all.";
    assert!(text.as_str().unwrap().contains(cut));
    assert_eq!(
        browser.eval("document.getElementById('shown').textContent"),
        "Rows 1 to 100 of 100,000"
    );
    let count = "document.querySelector('.groups td.n').textContent";
    assert_eq!(browser.eval(count), "100,100");
    let nodes = browser.eval("document.querySelectorAll('*').length");
    assert!(nodes.as_u64().unwrap() < 1_500, "{nodes}");
    let began = Instant::now();
    browser.eval("document.getElementById('text').focus()");
    browser.ask("Input.insertText", json!({ "text": "099998" }));
    browser
        .until("document.getElementById('shown').textContent.startsWith('Rows 1 to 1 of 1 found')");
    println!("loaded in {loaded:?}, searched in {:?}", began.elapsed());
    browser.nothing_odd();
}

#[test]
fn what_an_apply_did_can_be_read_in_any_light_and_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    let args = [
        "apply",
        "--yes",
        "--allow-large",
        "--report",
        "applied.html",
    ];
    repo.run(&args).exits(0);
    browser.screen(1280, "light");
    browser.open(&repo.file("applied.html"));
    looks_well_everywhere(&browser, "applied");
    let text = browser.eval("document.body.innerText");
    for word in [
        "The whole plan was carried out",
        "customer-lifecycle",
        "stopped",
    ] {
        assert!(text.as_str().unwrap().contains(word), "{word}: {text}");
    }
    browser.nothing_odd();
}

#[test]
fn a_report_can_be_read_in_any_light_and_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let spotler = Spotler::open();
    let repo = lifecycle();
    let toml = CONFIG.replace("\"sandbox\"", &format!("{:?}", spotler.url()));
    repo.write("rollcall.toml", toml);
    spotler.fault(json!([
        { "fault": "reset-after", "contact": "crm-1450" },
        { "fault": "error-before", "contact": "crm-1451" },
    ]));
    repo.run(&["apply", "--yes", "--allow-large"]).exits(3);
    repo.run(&["report", "--html", "report.html"]).exits(0);
    browser.screen(1280, "light");
    browser.open(&repo.file("report.html"));
    looks_well_everywhere(&browser, "report");
    let text = browser.eval("document.body.innerText");
    for word in [
        "Active, or in doubt, now",
        "customer-lifecycle",
        "uncertain",
        "apply",
        "adopt",
    ] {
        assert!(text.as_str().unwrap().contains(word), "{word}: {text}");
    }
    // Each automation in which anything was sent has its bars.
    let bars = browser.eval("document.querySelectorAll('.curves .small').length");
    assert_eq!(bars, 3);
    // The figures by day open by keyboard.
    assert_eq!(
        browser.eval("document.querySelector('details').open"),
        false
    );
    browser.tab();
    browser.key("Enter", 13);
    browser.until("document.querySelector('details').open");
    browser.nothing_odd();
}

#[test]
fn a_simulation_can_be_read_in_any_light_and_width() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let repo = lifecycle();
    for day in 1..=9 {
        let rows = (1000..1400 + day * 5).map(|n| match (n + day) % 40 {
            0 => format!("crm-{n},prospect\n"),
            1 => format!("crm-{n},ex-customer\n"),
            _ => format!("crm-{n},customer\n"),
        });
        let odd = "</script><img src=x onerror=alert(1)>";
        let rows = rows.collect::<String>();
        let turn = ["prospect", "customer"][day % 2];
        repo.write(
            &format!("archive/crm-2026-01-0{day}.csv"),
            format!("id,status\n{rows}{odd},{turn}\n"),
        );
    }
    let args = ["simulate", "--exports", "archive/*.csv", "--format", "html"];
    let path = page(&repo, &args);
    browser.screen(1280, "light");
    browser.open(&path);
    looks_well_everywhere(&browser, "simulation");
    let text = browser.eval("document.body.innerText");
    for word in [
        "2026-01-01 to 2026-01-09",
        "customer-lifecycle",
        "too many triggers",
        "</script><img src=x onerror=alert(1)>",
    ] {
        assert!(text.as_str().unwrap().contains(word), "{word}: {text}");
    }
    assert_eq!(browser.eval("document.images.length"), 0);
    // Two sets of rules stand beside each other, their automations in one order.
    commit(&repo);
    let changed = CONFIG.replace("\"prospect\"", "[\"prospect\", \"customer\"]");
    repo.write("rollcall.toml", changed);
    browser.open(&page(&repo, &[&args[..], &["--against", "HEAD"]].concat()));
    looks_well_everywhere(&browser, "simulations");
    let names = |side: u32| {
        browser.eval(&format!(
            "[...document.querySelector('main').children[{side}].querySelectorAll('h3')].map((of) => of.textContent)"
        ))
    };
    assert_eq!(names(0), names(1));
    browser.nothing_odd();
}
