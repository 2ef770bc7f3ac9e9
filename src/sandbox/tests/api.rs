//! Every route and every documented answer.

use super::*;
use crate::sandbox::{Deed, Publication};

#[tokio::test]
async fn a_trigger_starts_a_participation_and_a_stop_ends_it() {
    let trial = Trial::with_setting(Setting::Unlimited).await;
    let first = trial.trigger("crm-1").await;
    let started = id(&first);
    let entry = &first.body["publishedAutomationResults"][0];
    assert_eq!(first.body["result"], "OK");
    assert_eq!(entry["result"], "OK");
    assert!(entry["automationId"].is_string());

    let nothing = Got {
        status: 204,
        body: json!(""),
    };
    assert_eq!(trial.stop("crm-1").await, nothing);
    let ledger = trial.running.ledger();
    let deeds: Vec<Deed> = ledger.iter().map(|entry| entry.kind).collect();
    assert_eq!(deeds, [Deed::Trigger, Deed::Stop]);
    for entry in &ledger {
        assert_eq!((&*entry.code, &*entry.contact), (CODE, "crm-1"));
        assert_eq!(entry.participations[0].id, started);
    }
}

#[tokio::test]
async fn the_api_lies_at_the_root_too() {
    let trial = Trial::start(Options::default()).await;
    let url = format!("http://{}/automation/stop/{CODE}", trial.running.address());
    let response = trial
        .http
        .post(&url)
        .header("Authorization", sign(&Signing::of("POST", &url)))
        .json(&json!({ "externalContactId": "crm-1" }));
    assert_eq!(
        response.send().await.unwrap().status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn one_participation_is_stopped_and_the_other_runs_on() {
    let trial = Trial::with_setting(Setting::Unlimited).await;
    let first = id(&trial.trigger("crm-1").await);
    let second = id(&trial.trigger("crm-1").await);
    assert_ne!(first, second);
    assert_eq!(trial.stop_one("crm-1", &first).await.status, 204);
    let again = trial.stop_one("crm-1", &first).await;
    assert_eq!(
        (again.status, &again.body["errorType"]),
        (400, &json!("INVALID_STATE"))
    );
    let others = trial.stop_one("crm-2", &second).await;
    assert_eq!(
        (others.status, &others.body["errorType"]),
        (404, &json!("CAMPAIGN_NOTFOUND"))
    );
    let running = trial.control(Method::GET, "participations", None).await;
    assert_eq!(running.body.as_array().unwrap().len(), 1);
    assert_eq!(running.body[0]["automationContactId"], json!(second));
}

#[tokio::test]
async fn a_stop_without_anything_to_stop_says_so() {
    let trial = Trial::with_setting(Setting::Unlimited).await;
    let never = trial.stop("crm-1").await;
    trial.trigger("crm-1").await;
    trial.stop("crm-1").await;
    let finished = trial.stop("crm-1").await;
    for got in [&never, &finished] {
        assert_eq!(
            (got.status, &got.body["errorType"]),
            (400, &json!("INVALID_STATE"))
        );
    }
    assert_ne!(never.body["message"], finished.body["message"]);
    assert_eq!(trial.running.ledger().len(), 2);
}

#[tokio::test]
async fn unknown_codes_and_contacts_are_answered_as_documented() {
    let trial = Trial::start(Options {
        triggers: vec![Trigger::new("Other", "other", Setting::Unlimited)],
        unknown_contacts: vec!["ghost-*".to_owned()],
        ..Options::default()
    })
    .await;
    let plain = |status, body| Got { status, body };
    assert_eq!(
        trial.trigger("crm-1").await,
        plain(404, json!({ "result": "TRIGGER_NOTFOUND" }))
    );
    let stop = trial.stop("crm-1").await;
    assert_eq!(
        (stop.status, &stop.body["errorType"]),
        (404, &json!("TRIGGER_NOTFOUND"))
    );
    let ghost = json!({ "externalContactId": "ghost-1" });
    assert_eq!(
        trial
            .post("automation/trigger/other", &ghost)
            .await
            .unwrap(),
        plain(404, json!({ "result": "CONTACT_NOTFOUND" }))
    );
    let stop = trial.post("automation/stop/other", &ghost).await.unwrap();
    assert_eq!(
        (stop.status, &stop.body["errorType"]),
        (400, &json!("CONTACT_NOT_FOUND"))
    );
    assert_eq!(trial.get("contact/ghost-1").await.status, 404);
    let known = trial.get("contact/crm%20%C3%93").await;
    assert_eq!(known.body["externalId"], "crm Ó");
    assert!(trial.running.ledger().is_empty());
}

#[tokio::test]
async fn a_limit_is_answered_with_417_and_starts_nothing() {
    for (setting, after_stop) in [
        (Setting::Unlimited, 200),
        (Setting::Waiting(1), 417),
        (Setting::OnceWhileRunning, 200),
        (Setting::Once, 417),
    ] {
        let trial = Trial::with_setting(setting).await;
        assert_eq!(trial.trigger("crm-1").await.status, 200);
        let second = trial.trigger("crm-1").await;
        if setting == Setting::Unlimited {
            assert_eq!(second.status, 200);
        } else {
            let entry = &second.body["publishedAutomationResults"][0];
            assert_eq!(second.status, 417);
            assert_eq!(second.body["result"], "NOT_TRIGGERED");
            assert_eq!(entry["result"], "PARTICIPATION_LIMIT_REACHED");
            assert_eq!(entry.get("automationContactId"), None);
        }
        trial.stop("crm-1").await;
        assert_eq!(trial.trigger("crm-1").await.status, after_stop, "{setting}");
    }
}

#[tokio::test]
async fn a_code_that_starts_several_publications_answers_for_each() {
    let publication = |active, setting| Publication {
        id: None,
        active,
        setting,
    };
    let trigger = Trigger {
        name: "Customers".to_owned(),
        code: CODE.to_owned(),
        publications: vec![
            publication(true, Setting::Unlimited),
            publication(false, Setting::Unlimited),
            publication(true, Setting::Once),
        ],
    };
    let trial = Trial::start(Options {
        triggers: vec![trigger],
        ..Options::default()
    })
    .await;
    let results = |got: &Got| -> Vec<String> {
        let list = got.body["publishedAutomationResults"].as_array().unwrap();
        let result = |entry: &Value| entry["result"].as_str().unwrap().to_owned();
        list.iter().map(result).collect()
    };
    let first = trial.trigger("crm-1").await;
    assert_eq!(results(&first), ["OK", "AUTOMATION_INACTIVE", "OK"]);
    let second = trial.trigger("crm-1").await;
    assert_eq!(second.status, 200);
    assert_eq!(
        results(&second),
        ["OK", "AUTOMATION_INACTIVE", "PARTICIPATION_LIMIT_REACHED"]
    );
    trial.stop("crm-1").await;
    let ledger = trial.running.ledger();
    let counts: Vec<usize> = ledger.iter().map(|e| e.participations.len()).collect();
    assert_eq!(counts, [2, 1, 3]);
}

#[tokio::test]
async fn an_inactive_automation_is_listed_and_starts_nothing() {
    let trial = Trial::start(Options {
        triggers: vec![
            Trigger::new("Customers", CODE, Setting::Unlimited),
            Trigger::new("Welcome", "5f0e8b1c", Setting::Once),
        ],
        inactive: vec![CODE.to_owned()],
        ..Options::default()
    })
    .await;
    let got = trial.trigger("crm-1").await;
    let entry = &got.body["publishedAutomationResults"][0];
    assert_eq!(
        (got.status, &entry["result"]),
        (417, &json!("AUTOMATION_INACTIVE"))
    );

    let list = trial.get("automation/list").await.body;
    let short: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|a| json!([a["name"], a["active"], a["triggers"][0]["encryptedId"]]))
        .collect();
    assert_eq!(
        short,
        [
            json!(["Customers", false, CODE]),
            json!(["Welcome", true, "5f0e8b1c"])
        ]
    );
}

#[tokio::test]
async fn without_automations_every_code_that_is_safe_is_one() {
    let trial = Trial::start(Options::default()).await;
    let body = json!({ "externalContactId": "crm-1" });
    for (code, status) in [(CODE, 200), ("any_code.7", 200), ("no%20code", 404)] {
        let got = trial
            .post(&format!("automation/trigger/{code}"), &body)
            .await;
        assert_eq!(got.unwrap().status, status, "{code}");
    }
    let list = trial.get("automation/list").await.body;
    assert_eq!(list.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn of_personalisation_fields_names_types_and_a_digest_are_kept() {
    let trial = Trial::start(Options::default()).await;
    let body = |value: &str| {
        json!({ "externalContactId": "crm-1", "automationFields": [
            { "name": "customerCompany", "value": value },
            { "name": "productlist", "type": "PRODUCTLIST", "values": ["sku-1"] }] })
    };
    let path = format!("automation/trigger/{CODE}");
    for value in ["De Vries", "De Vries", "Jansen"] {
        assert_eq!(trial.post(&path, &body(value)).await.unwrap().status, 200);
    }
    trial.trigger("crm-1").await;
    let ledger = trial.running.ledger();
    let types: Vec<(&str, &str)> = ledger[0]
        .fields
        .iter()
        .map(|(name, kind)| (&**name, &**kind))
        .collect();
    assert_eq!(
        types,
        [
            ("customerCompany", "STRING"),
            ("productlist", "PRODUCTLIST")
        ]
    );
    assert_eq!(ledger[0].digest, ledger[1].digest);
    assert_ne!(ledger[0].digest, ledger[2].digest);
    assert_eq!((&ledger[3].digest, ledger[3].fields.len()), (&None, 0));
    assert!(!format!("{ledger:?}").contains("Vries"));
}

#[tokio::test]
async fn a_body_that_is_wrong_is_refused_with_the_error_body() {
    let trial = Trial::start(Options::default()).await;
    let path = format!("automation/trigger/{CODE}");
    let got = trial
        .post(&path, &json!({ "contact": "crm-1" }))
        .await
        .unwrap();
    assert_eq!(got.status, 400);
    assert_eq!(got.body["errorType"], "INVALID_PARAMS");
    let large = json!({ "externalContactId": "x".repeat(2 << 20) });
    assert_eq!(trial.post(&path, &large).await.unwrap().status, 413);
    let text = trial
        .signed(Method::POST, &path)
        .body("x")
        .header("Content-Type", "text/plain");
    assert_eq!(
        text.send().await.unwrap().status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(trial.get("nothing/here").await.status, 404);
}

#[tokio::test]
async fn a_request_that_is_not_signed_properly_is_refused() {
    let trial = Trial::start(Options::default()).await;
    let url = format!("{}/automation/list", trial.running.base_url());
    let ask = async |signing: Option<&Signing>| {
        let mut request = trial.http.get(&url);
        if let Some(signing) = signing {
            request = request.header("Authorization", sign(signing));
        }
        let got = got(request.send().await.unwrap()).await.unwrap();
        let kind = got.body["errorType"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (got.status, kind)
    };
    let refused = |kind: &str| (401, kind.to_owned());
    let good = || Signing::of("GET", &url);

    let once = good();
    assert_eq!(ask(Some(&once)).await.0, 200);
    assert_eq!(ask(Some(&once)).await, refused("NOT_AUTHORIZED"));
    assert_eq!(ask(None).await, refused("AUTH_NOT_FOUND"));
    let mut wrong = good();
    wrong.secret = "another".to_owned();
    assert_eq!(ask(Some(&wrong)).await, refused("NOT_AUTHORIZED"));
    // A forged request uses no nonce up.
    wrong.secret = SANDBOX_SECRET.to_owned();
    assert_eq!(ask(Some(&wrong)).await.0, 200);
    let mut wrong = good();
    wrong.key = "another".to_owned();
    assert_eq!(ask(Some(&wrong)).await, refused("AUTH_NOT_FOUND"));
    let mut wrong = good();
    wrong.timestamp -= 600;
    assert_eq!(ask(Some(&wrong)).await, refused("NOT_AUTHORIZED"));
    let mut wrong = good();
    wrong.method = "POST".to_owned();
    assert_eq!(ask(Some(&wrong)).await, refused("NOT_AUTHORIZED"));
}

#[tokio::test]
async fn credentials_and_tolerance_can_be_others() {
    let trial = Trial::start(Options {
        key: "k".to_owned(),
        secret: "s p/ä".to_owned(),
        tolerance: std::time::Duration::from_secs(3600),
        ..Options::default()
    })
    .await;
    let url = format!("{}/automation/list", trial.running.base_url());
    let mut signing = Signing::of("GET", &url);
    signing.key = "k".to_owned();
    signing.secret = "s p/ä".to_owned();
    signing.timestamp -= 600;
    let request = trial.http.get(&url).header("Authorization", sign(&signing));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(trial.get("automation/list").await.status, 401);
}
