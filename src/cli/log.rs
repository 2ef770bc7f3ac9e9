//! The log, on standard error.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, writer::MakeWriterExt};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::Common;
use super::args::{Color, LogFormat};
use crate::patient::Patient;

/// Starts the log as the command line says.
///
/// Only Rollcall's own events are shown: what libraries say may hold what must not be shown. As JSON, what else is reported on
/// standard error is an event as well, so that every line of it can be read by a program.
pub fn log(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) if common.log_format == LogFormat::Json => LevelFilter::INFO,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let own = Targets::new().with_target("rollcall", level);
    let writer = (|| Patient(std::io::stderr())).with_max_level(tracing::Level::TRACE);
    let layer = fmt::layer().with_target(false).with_writer(writer);
    let layer = match common.log_format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true);
            layer.with_current_span(false).with_span_list(false).boxed()
        }
        LogFormat::Text => layer.with_ansi(common.color == Color::Always).boxed(),
    };
    // A second start is a test's, and keeps the first.
    let _ = tracing_subscriber::registry()
        .with(own)
        .with(layer)
        .try_init();
}
