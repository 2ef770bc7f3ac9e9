//! The progress of an apply: a bar on a terminal, a line every few seconds otherwise.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::style::thousands;
use crate::apply::Event;
use crate::patient::Patient;

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// Draws the events that it gets.
pub struct Progress {
    drawn: Drawn,
    total: u64,
    done: u64,
    bad: u64,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As a bar, on a terminal.
    Bar,
    /// As a line every few seconds.
    Lines,
    /// As events of the log.
    Log,
    /// Not at all.
    Quiet,
}

enum Drawn {
    Bar(ProgressBar),
    Lines { start: Instant, last: Instant },
    Log { last: Instant },
    Quiet,
}

impl Progress {
    /// For so many actions. Everything goes to standard error.
    pub fn new(total: u64, look: Look) -> Self {
        let now = Instant::now();
        let drawn = match look {
            Look::Quiet => Drawn::Quiet,
            Look::Log => Drawn::Log { last: now },
            Look::Lines => Drawn::Lines {
                start: now,
                last: now,
            },
            Look::Bar => Drawn::Bar(bar(total)),
        };
        Self {
            drawn,
            total,
            done: 0,
            bad: 0,
        }
    }

    /// Takes note of an event.
    pub fn event(&mut self, event: &Event) {
        if let Drawn::Log { .. } = self.drawn {
            log(event);
        }
        match event {
            Event::Settled { settled, .. } => {
                self.done += 1;
                if !settled.outcome.is_good() {
                    self.bad += 1;
                }
                self.draw();
            }
            Event::Paused { wait, detail } => {
                let seconds = wait.as_secs_f64();
                self.say(&format!(
                    "Waiting {seconds:.1} s before calling Spotler again ({detail})."
                ));
            }
            Event::Halted {
                kind,
                automation,
                detail,
            } => {
                let kind = kind.as_str();
                self.say(&format!(
                    "This run sends no more {kind}s of {automation}: {detail}."
                ));
            }
            Event::NobodyKnown(kind) => {
                let kind = kind.as_str();
                self.say(&format!(
                    "This run sends no more {kind}s: Spotler knew none of the contacts so far."
                ));
            }
            Event::Ending(end) => {
                self.say(&format!(
                    "Nothing more is sent: {end}. Calls under way are finished."
                ));
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Drawn::Bar(bar) = self.drawn {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self) {
        match &mut self.drawn {
            Drawn::Bar(bar) => {
                bar.set_position(self.done);
                if self.bad > 0 {
                    bar.set_message(format!("{} not as wanted", thousands(self.bad)));
                }
            }
            Drawn::Lines { start, last } => {
                if last.elapsed() >= EVERY {
                    *last = Instant::now();
                    let rate = self.done as f64 / start.elapsed().as_secs_f64();
                    let to_go = (self.total - self.done.min(self.total)) as f64 / rate;
                    let line = format!(
                        "{} of {} done, {} not as wanted, {rate:.0}/s, about {} to go",
                        thousands(self.done),
                        thousands(self.total),
                        thousands(self.bad),
                        duration(to_go)
                    );
                    self.say(&line);
                }
            }
            Drawn::Log { last } => {
                if last.elapsed() >= EVERY {
                    *last = Instant::now();
                    let Self {
                        total, done, bad, ..
                    } = self;
                    tracing::info!(event = "progress", total, done, bad, "the apply goes on");
                }
            }
            Drawn::Quiet => {}
        }
    }

    fn say(&self, line: &str) {
        match &self.drawn {
            Drawn::Bar(bar) => bar.println(line),
            Drawn::Lines { .. } => {
                // Nobody reads it: nothing to be done about that.
                let _ = writeln!(Patient(std::io::stderr()), "{line}");
            }
            Drawn::Log { .. } | Drawn::Quiet => {}
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::Settled { .. } => {}
        Event::Paused { wait, detail } => {
            let seconds = wait.as_secs_f64();
            tracing::warn!(event = "paused", seconds, detail, "calls to Spotler wait");
        }
        Event::Halted {
            kind,
            automation,
            detail,
        } => tracing::warn!(
            event = "halted",
            kind = kind.as_str(),
            %automation,
            detail,
            "no more calls of a kind are made for an automation in this run"
        ),
        Event::NobodyKnown(kind) => tracing::warn!(
            event = "nobody-known",
            kind = kind.as_str(),
            "no more calls of a kind are made in this run; Spotler knew none of the contacts so far"
        ),
        Event::Ending(end) => tracing::warn!(
            event = "ending",
            detail = %end,
            "nothing more is sent; what is under way is finished"
        ),
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len}  {rate}  {eta} to go  {msg}")
    {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Where it cannot be drawn, the bar goes without.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
