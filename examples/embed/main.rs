//! Plan and apply from Rust: `cargo run --example embed examples/lifecycle/rollcall.toml`

use std::path::Path;

use rollcall::apply::{Part, Run};
use rollcall::config;
use rollcall::engine::{ApplyOptions, Clock, Engine, Error, Event};
use rollcall::plan::Filter;
use rollcall::spotler::Credentials;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::args_os().nth(1).unwrap_or_default();
    let run = plan_and_apply(file.as_ref()).await?;
    println!("{} actions, all good: {}", run.settled.len(), run.is_good());
    Ok(())
}

/// Plans, and applies what the guard does not refuse.
pub async fn plan_and_apply(file: &Path) -> anyhow::Result<Run> {
    // It lives as long as the process: rosters and plans point into it.
    let config = Box::leak(Box::new(config::load(file).map_err(Error::from)?));
    let credentials = || Credentials::from_env(|name| std::env::var(name).ok());
    let tell = |event: Event<'_>| eprintln!("{event:?}");
    let engine = Engine::new(config, Clock::system(), credentials, tell);
    let planned = engine.plan(engine.scope(Filter::default(), &[])).await?;
    let (triggers, stops) = (planned.plan.triggers(), planned.plan.stops());
    println!("{triggers} to trigger, {stops} to stop");
    let options = ApplyOptions {
        may_begin: true,
        ..ApplyOptions::default()
    };
    let applying = engine.begin(planned, None, options).await?;
    let interrupt = CancellationToken::new();
    let run = applying.run(Part::Whole, interrupt, |event| println!("{event:?}"));
    Ok(run.await?)
}
