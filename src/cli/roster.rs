//! `rollcall roster`: who is declared, and by which block. It reads the configuration and its sources alone.

use std::io;

use super::args::{LeftOut, RosterArgs, RosterFormat};
use super::{CommandError, Common, Exit, Session};
use crate::config::Config;
use crate::report::{DECLARED_COLUMNS, DeclaredJson, LEFT_OUT_COLUMNS};
use crate::roster::{Enrolment, Roster};

pub(super) async fn run(args: &RosterArgs, common: &Common) -> Result<Exit, CommandError> {
    let session = Session::begin(common)?;
    let engine = &session.engine;
    engine.check_names("automation", args.part.automation())?;
    let roster = engine.declared(args.part.contact.as_ref()).await?;
    session
        .output
        .warnings(roster.warnings(), &engine.config().files);
    let list = Listed {
        config: engine.config(),
        roster: &roster,
        args,
    };
    list.write(&session)?;
    Ok(Exit::Fine)
}

/// What is listed.
struct Listed<'a> {
    config: &'a Config,
    roster: &'a Roster<'a>,
    args: &'a RosterArgs,
}

impl Listed<'_> {
    /// One by one, since there may be millions.
    fn each(&self, mut each: impl FnMut(DeclaredJson<'_>) -> io::Result<()>) -> io::Result<()> {
        let automation = self.args.part.automation();
        let is_asked = |enrolment: &Enrolment<'_>| {
            let name = &self.config.automations[enrolment.automation].name;
            automation.is_none_or(|automation| automation == name.as_str())
        };
        match self.args.left_out {
            None => self
                .roster
                .enrolments()
                .filter(is_asked)
                .try_for_each(|of| each(DeclaredJson::new(self.config, &of))),
            Some(LeftOut::Exclusive) => self
                .roster
                .displaced()
                .filter(is_asked)
                .try_for_each(|of| each(DeclaredJson::displaced(self.config, self.roster, &of))),
            Some(LeftOut::Lot) => self
                .roster
                .left_out_by_lot()
                .filter(is_asked)
                .try_for_each(|of| each(DeclaredJson::by_lot(self.config, &of))),
            Some(by @ (LeftOut::Suppress | LeftOut::Require)) => {
                let mut left_out = self.roster.withheld().filter(is_asked);
                left_out.try_for_each(|of| {
                    let suppressions = self.roster.suppressions(of.contact).into_iter();
                    let mut blocks = suppressions.flat_map(|on| on.all(Some(of.automation)));
                    match blocks.find(|block| block.is_required == (by == LeftOut::Require)) {
                        Some(block) => each(DeclaredJson::suppressed(self.config, block, &of)),
                        None => Ok(()),
                    }
                })
            }
        }
    }

    fn write(&self, session: &Session) -> Result<(), CommandError> {
        let output = &session.output;
        match self.args.format {
            RosterFormat::Text => {
                let mut count = 0_u64;
                output.lines(|out| {
                    self.each(|of| {
                        count += 1;
                        writeln!(out, "{}", of.line())
                    })
                })?;
                if count == 0 {
                    let who = match self.args.left_out {
                        None => "Nobody is declared.",
                        Some(_) => "Nobody is left out.",
                    };
                    output.notice(|out| writeln!(out, "{who}"));
                }
                Ok(())
            }
            RosterFormat::Csv => output.result(|out| {
                let mut writer = csv::Writer::from_writer(out);
                let more = self
                    .args
                    .left_out
                    .map_or(&[][..], |_| &LEFT_OUT_COLUMNS[..]);
                writer.write_record(DECLARED_COLUMNS.iter().chain(more))?;
                self.each(|of| Ok(writer.write_record(of.cells())?))?;
                writer.flush()
            }),
            RosterFormat::Json => {
                let name = self.args.left_out.map_or("enrolments", |_| "left_out");
                output.json_each(name, |entry| {
                    self.each(|of| entry(serde_json::to_string_pretty(&of)?))
                })
            }
        }
    }
}
