//! A bare loop of reqwest: the same bodies as Rollcall's, as many under way, no signature, no record.
//!
//!     bare URL CALLS UNDER_WAY

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().collect();
    let [_, url, calls, under_way] = args.as_slice() else {
        return Err("bare URL CALLS UNDER_WAY".into());
    };
    let (calls, under_way): (usize, usize) = (calls.parse()?, under_way.parse()?);
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .pool_max_idle_per_host(under_way)
        .timeout(Duration::from_secs(30))
        .build()?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..under_way {
        let (client, next, url) = (client.clone(), next.clone(), url.clone());
        tasks.spawn(async move {
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= calls {
                    return Ok::<(), Error>(());
                }
                let body = format!("{{\"externalContactId\":\"crm-{}\"}}", 10_000_000 + call);
                let request = client.post(&url).body(body);
                let request = request.header("content-type", "application/json; charset=utf-8");
                request.send().await?.error_for_status()?.bytes().await?;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}
