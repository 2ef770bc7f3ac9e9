//! Every fault, as a client sees it: what comes back, and whether the call was carried out.

use std::time::{Duration, SystemTime};

use super::*;
use crate::sandbox::Fault;

#[tokio::test]
async fn a_call_that_is_turned_away_is_not_carried_out() {
    for (fault, status, retry_after) in [
        ("limit", 429, None),
        ("limit=2", 429, Some("2")),
        ("limit=soon", 429, Some("soon")),
        ("unavailable", 503, None),
        ("unavailable=7", 503, Some("7")),
        ("error-before", 500, None),
        ("revoked", 401, None),
        ("echo", 400, None),
    ] {
        let trial = Trial::with_faults(&[fault]).await;
        let path = format!("automation/trigger/{CODE}");
        let body = json!({ "externalContactId": "crm-1" });
        let request = trial.signed(Method::POST, &path).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        let wait = response.headers().get("Retry-After");
        assert_eq!(wait.map(|w| w.to_str().unwrap()), retry_after, "{fault}");
        assert_eq!(trial.triggered(), 0, "{fault}");
    }
}

#[tokio::test]
async fn retry_after_comes_as_a_date_too() {
    let trial = Trial::with_faults(&["limit=date:90"]).await;
    let before = SystemTime::now();
    let response = trial
        .signed(Method::GET, "automation/list")
        .send()
        .await
        .unwrap();
    let after = SystemTime::now();
    let date = response.headers()["Retry-After"].to_str().unwrap();
    let date = httpdate::parse_http_date(date).unwrap();
    // A date has whole seconds, and is rounded up.
    let ahead = |from| from + Duration::from_secs(90);
    let earliest = ahead(before);
    let latest = ahead(after) + Duration::from_secs(1);
    assert!((earliest..latest).contains(&date), "{date:?}");
}

#[tokio::test]
async fn a_date_that_no_header_can_hold_is_a_century_ahead() {
    let trial = Trial::with_faults(&["limit=date:18446744073709551615"]).await;
    let request = trial.signed(Method::GET, "automation/list");
    let response = request.send().await.unwrap();
    let date = response.headers()["Retry-After"].to_str().unwrap();
    assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
}

#[tokio::test]
async fn an_answer_that_is_spoilt_hides_a_call_that_was_carried_out() {
    for (fault, status, looks_right) in [
        (
            "error-after",
            500,
            (|body| body["errorType"] == "BACKEND_EXCEPTION") as fn(&Value) -> bool,
        ),
        ("html", 200, |body| {
            body.as_str().is_some_and(|text| text.contains("<html>"))
        }),
        ("truncated", 200, |body| {
            body.as_str()
                .is_some_and(|text| text.starts_with("{\"result\":"))
        }),
        ("wrong-types", 200, |body| body["result"].is_number()),
        ("unknown-result", 200, |body| body["result"] == "QUEUED"),
        ("number-id", 200, |body| {
            body["publishedAutomationResults"][0]["automationContactId"].is_u64()
        }),
    ] {
        let trial = Trial::with_faults(&[fault]).await;
        let got = trial.trigger("crm-1").await;
        assert_eq!(got.status, status, "{fault}");
        assert!(looks_right(&got.body), "{fault}: {got:?}");
        assert_eq!(trial.triggered(), 1, "{fault}");
        // A stop answers without a body; its spoilt answer has one.
        assert_eq!(
            trial.stop("crm-1").await.status,
            if fault == "number-id" { 204 } else { status }
        );
        assert_eq!(trial.triggered(), 2, "{fault}");
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_stays_refused_when_spoilt() {
    let trial = Trial::start(Options {
        triggers: vec![Trigger::new("Customers", CODE, Setting::Once)],
        faults: vec![Rule {
            from: Some(2),
            ..Rule::always(Fault::Html)
        }],
        ..Options::default()
    })
    .await;
    assert_eq!(trial.trigger("crm-1").await.status, 200);
    assert_eq!(trial.trigger("crm-1").await.status, 417);
}

#[tokio::test]
async fn a_reset_is_a_reset_before_or_after() {
    for (fault, triggered) in [("reset-before", 0), ("reset-after", 1)] {
        let trial = Trial::with_faults(&[&format!("{fault}@1")]).await;
        let error = trial.try_trigger("crm-1").await.unwrap_err();
        let chain = format!("{error:?}");
        assert!(chain.contains("ConnectionReset"), "{chain}");
        assert!(!error.is_connect());
        assert_eq!(trial.triggered(), triggered, "{fault}");
        assert_eq!(trial.trigger("crm-2").await.status, 200);
    }
}

#[tokio::test]
async fn a_cut_answer_has_a_status_and_half_a_body() {
    let trial = Trial::with_faults(&["cut"]).await;
    let path = format!("automation/trigger/{CODE}");
    let body = json!({ "externalContactId": "crm-1" });
    let request = trial.signed(Method::POST, &path).json(&body);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let whole = response.content_length().unwrap();
    let half = response.chunk().await.unwrap().unwrap();
    assert_eq!(half.len() as u64, whole / 2);
    assert!(response.chunk().await.is_err());
    assert_eq!(trial.triggered(), 1);
}

#[tokio::test]
async fn an_enormous_answer_does_not_end_soon() {
    let trial = Trial::with_faults(&["enormous"]).await;
    let path = format!("automation/trigger/{CODE}");
    let body = json!({ "externalContactId": "crm-1" });
    let request = trial.signed(Method::POST, &path).json(&body);
    let mut response = request.send().await.unwrap();
    assert!(response.content_length().unwrap() > 64 << 20);
    let mut read = 0;
    while read < 1 << 20 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
    assert_eq!(trial.triggered(), 1);
}

#[tokio::test]
async fn a_call_that_hangs_is_never_answered() {
    for (fault, triggered) in [("hang-before", 0), ("hang-after", 1)] {
        let trial = Trial::with_faults(&[fault]).await;
        let path = format!("automation/trigger/{CODE}");
        let body = json!({ "externalContactId": "crm-1" });
        let request = trial.signed(Method::POST, &path).json(&body);
        let error = request.timeout(Duration::from_millis(300)).send().await;
        assert!(error.unwrap_err().is_timeout());
        assert_eq!(trial.triggered(), triggered, "{fault}");
        // A client that has gone away is no longer under way.
        until(&trial, async || trial.stats().await.under_way == 0).await;
    }
}

#[tokio::test]
async fn a_shutdown_ends_what_hangs() {
    let trial = Trial::with_faults(&["hang-after"]).await;
    let call = tokio::spawn(trial.signed(Method::GET, "automation/list").send());
    until(&trial, async || trial.stats().await.under_way == 1).await;
    trial.running.shutdown().await;
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn a_slow_call_is_carried_out_even_where_its_client_has_gone() {
    let trial = Trial::with_faults(&["slow=300"]).await;
    let path = format!("automation/trigger/{CODE}");
    let body = json!({ "externalContactId": "crm-1" });
    let request = trial.signed(Method::POST, &path).json(&body);
    let error = request.timeout(Duration::from_millis(100)).send().await;
    assert!(error.unwrap_err().is_timeout());
    assert_eq!(trial.triggered(), 0);
    until(&trial, async || trial.triggered() == 1).await;
}

#[tokio::test]
async fn connections_are_refused_for_a_while_and_then_taken_again() {
    let trial = Trial::with_faults(&["refuse=300@1"]).await;
    assert_eq!(trial.trigger("crm-1").await.status, 200);
    // The client keeps connections, and finds this one ended.
    let error = trial.try_trigger("crm-2").await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let mut tries = 1;
    while trial.try_trigger("crm-2").await.is_err() {
        tries += 1;
    }
    assert!(tries > 1);
    assert_eq!(trial.triggered(), 2);
}

#[tokio::test]
async fn an_idle_connection_ends_when_connections_are_refused() {
    let trial = Trial::start(Options::default()).await;
    trial.trigger("crm-1").await;
    let other = client();
    let url = format!("http://{}/_sandbox/down/200", trial.running.address());
    let shut = other.post(url).send().await.unwrap();
    assert_eq!(shut.status(), StatusCode::NO_CONTENT);
    let error = trial.try_trigger("crm-2").await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[tokio::test]
async fn credentials_are_revoked_from_a_call_on() {
    let trial = Trial::start(Options {
        faults: vec![Rule {
            from: Some(3),
            ..Rule::always(Fault::Revoked)
        }],
        ..Options::default()
    })
    .await;
    let mut statuses = Vec::new();
    for n in 0..4 {
        statuses.push(trial.trigger(&format!("crm-{n}")).await.status);
    }
    assert_eq!(statuses, [200, 200, 401, 401]);
}

#[tokio::test]
async fn faults_combine_and_come_again_with_the_seed() {
    let run = async |seed| {
        let rules = [
            "slow=1:20%",
            "error-after:20%",
            "limit:20%",
            "reset-before:10%",
        ];
        let trial = Trial::start(Options {
            faults: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            seed,
            ..Options::default()
        })
        .await;
        let mut came = Vec::new();
        for n in 0..60 {
            let got = trial.try_trigger(&format!("crm-{n}")).await;
            came.push(got.map_or(0, |got| got.status));
        }
        let carried_out: Vec<String> = trial
            .running
            .ledger()
            .into_iter()
            .map(|e| e.contact)
            .collect();
        (came, carried_out, trial.stats().await.faults)
    };
    let first = run(1).await;
    assert_eq!(first, run(1).await);
    assert_ne!(first, run(2).await);
    for status in [0, 200, 429, 500] {
        assert!(first.0.contains(&status), "{status}");
    }
}

/// Waits for what other tasks are about to do: it asks again whenever a call comes in, is carried out or is over.
async fn until(trial: &Trial, mut is_so: impl AsyncFnMut() -> bool) {
    let mut calls = trial.running.calls();
    let waiting = async {
        while !is_so().await {
            calls.changed().await.unwrap();
        }
    };
    // Only a sandbox that hangs takes so long.
    let came = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    came.expect("it did not come");
}
