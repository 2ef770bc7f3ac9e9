//! How help looks: what a command is for, what one would type, its own options, and then those that all commands have.

use std::fmt::Write;

use clap::{Command, CommandFactory};

use super::Cli;

/// What one would type, by the command's words behind `rollcall`: commands, each with what it is for.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            (
                "rollcall init crm",
                "write a small repository to start from",
            ),
            ("rollcall plan", "show what would change"),
            ("rollcall apply", "do it, after showing it and asking"),
            (
                "rollcall explain crm-1042",
                "show why a contact is in or out",
            ),
        ],
    ),
    (
        "init",
        &[
            (
                "rollcall init crm",
                "two automations and three contacts, on the sandbox",
            ),
            (
                "rollcall init --example lifecycle crm",
                "an example with 300 contacts",
            ),
            (
                "rollcall init --from-spotler crm",
                "the automations that Spotler lists",
            ),
        ],
    ),
    (
        "validate",
        &[
            (
                "rollcall validate",
                "check the configuration and its sources",
            ),
            (
                "rollcall validate --no-sources --strict",
                "in a check that has no exports",
            ),
        ],
    ),
    (
        "plan",
        &[
            ("rollcall plan", "show what would change"),
            ("rollcall plan --automation winback", "of one automation"),
            (
                "rollcall plan --against main",
                "the effect of this branch's rules alone",
            ),
            (
                "rollcall plan --out next.plan",
                "save it, for: rollcall apply next.plan",
            ),
            (
                "rollcall plan --format markdown",
                "for a comment in a merge request",
            ),
        ],
    ),
    (
        "apply",
        &[
            ("rollcall apply", "show the plan, ask, and carry it out"),
            (
                "rollcall apply next.plan",
                "exactly the plan that was saved, or nothing",
            ),
            ("rollcall apply --yes --quiet --lock-timeout 5m", "by cron"),
        ],
    ),
    (
        "explain",
        &[
            ("rollcall explain crm-1042", "as it is now"),
            (
                "rollcall explain crm-1042 --now 2027-01-01",
                "as it will be",
            ),
            (
                "rollcall explain crm-1042 --fields",
                "with the values that would be sent",
            ),
        ],
    ),
    (
        "roster",
        &[
            (
                "rollcall roster --automation winback",
                "who is declared there",
            ),
            ("rollcall roster --left-out lot", "the control group"),
        ],
    ),
    (
        "simulate",
        &[
            (
                "rollcall simulate --to 2027-01-31",
                "the days to come, from today's exports",
            ),
            (
                "rollcall simulate --exports 'archive/*/crm.csv'",
                "the days of an archive",
            ),
        ],
    ),
    (
        "adopt",
        &[
            (
                "rollcall adopt --new-record",
                "the first day on a live account",
            ),
            (
                "rollcall adopt --automation winback",
                "who takes part in it already",
            ),
        ],
    ),
    (
        "resolve",
        &[
            (
                "rollcall resolve --as active crm-1042",
                "Spotler carried it out",
            ),
            (
                "rollcall resolve --as not-sent crm-1042",
                "it did not: the next apply triggers it",
            ),
        ],
    ),
    (
        "history",
        &[
            ("rollcall history crm-1042", "every call for a contact"),
            ("rollcall history --limit 20", "the last 20 calls"),
            (
                "rollcall history --state uncertain --since 7d",
                "what was in doubt this week",
            ),
        ],
    ),
    (
        "automations",
        &[(
            "rollcall automations",
            "show unknown codes and inactive automations",
        )],
    ),
    (
        "report",
        &[(
            "rollcall report --html report.html",
            "the last 90 days as a page",
        )],
    ),
    (
        "record",
        &[
            ("rollcall record list --state uncertain", "who is in doubt"),
            (
                "rollcall record show crm-1042",
                "all that is on record of a contact",
            ),
            ("rollcall record forget crm-1042", "erase a person"),
        ],
    ),
    (
        "record list",
        &[
            (
                "rollcall record list --automation winback",
                "of one automation",
            ),
            (
                "rollcall record list --state failed --since 24h",
                "what failed since yesterday",
            ),
        ],
    ),
    (
        "record show",
        &[
            ("rollcall record show", "which record this is"),
            (
                "rollcall record show crm-1042",
                "all that is on record of a contact",
            ),
        ],
    ),
    (
        "record export",
        &[(
            "rollcall record export > participations.csv",
            "for a spreadsheet",
        )],
    ),
    (
        "record forget",
        &[("rollcall record forget crm-1042", "erase a person")],
    ),
    (
        "record accept",
        &[(
            "rollcall record accept",
            "show what speaks against the record, and ask",
        )],
    ),
    (
        "record move",
        &[(
            "rollcall record move '$ROLLCALL_RECORD_URL'",
            "to the database that the variable names",
        )],
    ),
    (
        "record unlock",
        &[("rollcall record unlock", "show who holds the lock, and ask")],
    ),
    (
        "sandbox",
        &[(
            "rollcall sandbox --listen 127.0.0.1:8025",
            "a server that stands in for Spotler",
        )],
    ),
    (
        "schema",
        &[(
            "rollcall schema > rollcall.schema.json",
            "after an update of rollcall",
        )],
    ),
    (
        "completions",
        &[("source <(rollcall completions bash)", "in ~/.bashrc")],
    ),
    (
        "man",
        &[("rollcall man man1", "a page of each command, in a folder")],
    ),
];

const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

/// The command line, with its help.
pub fn command() -> Command {
    with_examples(Cli::command(), "")
}

fn with_examples(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|of| of.get_name().to_owned())
        .collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |command| with_examples(command, path.trim_start()));
    }
    let header = *command.get_styles().get_header();
    let examples =
        examples(path).map(|examples| format!("{header}Examples:{header:#}\n{examples}"));
    match examples {
        Some(examples) => command.before_help(examples.trim_end().to_owned()),
        None => command,
    }
    .help_template(TEMPLATE)
}

/// The examples of a command by its words, one a line.
pub(super) fn examples(path: &str) -> Option<String> {
    let (_, examples) = EXAMPLES.iter().find(|(of, _)| *of == path)?;
    let width = examples.iter().map(|(typed, _)| typed.len()).max()?;
    let mut text = String::new();
    for (typed, what) in *examples {
        // Writing to memory does not fail.
        let _ = writeln!(text, "  {typed:<width$}  # {what}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_command_that_there_is() {
        for (path, examples) in EXAMPLES {
            for (typed, _) in *examples {
                let words = typed.trim_start_matches("source <(").trim_end_matches(')');
                let words = words.split(" > ").next().unwrap().replace('\'', "");
                let matches = command().try_get_matches_from(words.split(' '));
                assert!(matches.is_ok(), "{typed}: {}", matches.unwrap_err());
                assert!(words.contains(&format!("rollcall {path}")), "{typed}");
            }
        }
    }
}
