//! `rollcall completions`: what a shell completes.

use clap_complete::Shell;

use super::args::CompletionsArgs;
use super::complete::VARIABLE;
use super::help;
use super::output::Output;
use super::{CommandError, Common, Exit};

pub(super) fn run(args: &CompletionsArgs, common: &Common) -> Result<Exit, CommandError> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(), "rollcall", &mut script);
    let script = with_values(args.shell, String::from_utf8_lossy(&script).into_owned());
    Output::new(common).result(|out| out.write_all(script.as_bytes()))?;
    Ok(Exit::Fine)
}

/// The same, with what the command itself offers: automations, contacts and sources. The script asks the command for that
/// part when the shell reads it, so that a script which was stored fits also after an update. Where the command cannot be
/// run, the rest of the script does.
fn with_values(shell: Shell, script: String) -> String {
    match shell {
        Shell::Bash => format!("{script}\nsource <({VARIABLE}=bash rollcall 2>/dev/null)\n"),
        Shell::Fish => format!(
            "{script}\nif command --query rollcall; and set -l rollcall_values ({VARIABLE}=fish rollcall 2>/dev/null)\n    complete --command rollcall --erase\n    \
             printf '%s\\n' $rollcall_values | source\nend\n"
        ),
        // Here the script is also a function that is loaded when it is first called.
        Shell::Zsh => {
            let values = format!(
                "#compdef rollcall\n\nsource <({VARIABLE}=zsh rollcall 2>/dev/null)\nif (( $+functions[_clap_dynamic_completer_rollcall] )); \
                 then\n    if [ \"$funcstack[1]\" = \"_rollcall\" ]; then\n        _clap_dynamic_completer_rollcall \"$@\"\n    fi\n    \
                 return\nfi\n"
            );
            script.replacen("#compdef rollcall\n", &values, 1)
        }
        _ => script,
    }
}
