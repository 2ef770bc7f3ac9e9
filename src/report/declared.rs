//! Enrolments as `rollcall roster` lists them: who is declared, or was left out, and by which block.

use std::borrow::Cow;

use serde::Serialize;

use super::record::cell;
use super::style::SafeText;
use crate::config::{Config, Lot, Suppression};
use crate::roster::{Enrolment, Roster};

/// An enrolment, for programs.
#[derive(Serialize)]
pub struct DeclaredJson<'a> {
    contact: &'a str,
    automation: &'a str,
    occurrence: Option<&'a str>,
    /// The block that declares it, the first if several do.
    declared_at: String,
    /// What left it out, where it is listed for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<LeftOutJson<'a>>,
}

#[derive(Serialize)]
struct LeftOutJson<'a> {
    by: &'static str,
    reason: Option<Cow<'a, str>>,
    at: String,
}

/// The columns of a list for spreadsheets.
pub const DECLARED_COLUMNS: [&str; 4] = ["contact", "automation", "occurrence", "declared_at"];

/// Those that follow where the list is of who was left out.
pub const LEFT_OUT_COLUMNS: [&str; 3] = ["left_out_by", "reason", "left_out_at"];

impl<'a> DeclaredJson<'a> {
    /// Of an enrolment that is declared.
    pub fn new(config: &'a Config, enrolment: &Enrolment<'a>) -> Self {
        Self {
            contact: enrolment.contact,
            automation: config.automations[enrolment.automation].name.as_str(),
            occurrence: enrolment.occurrence,
            declared_at: config.enrols[enrolment.block].place.to_string(),
            left_out: None,
        }
    }

    /// Of one that is not, since a block suppresses its contact.
    pub fn suppressed(
        config: &'a Config,
        block: &'a Suppression,
        enrolment: &Enrolment<'a>,
    ) -> Self {
        Self {
            left_out: Some(LeftOutJson {
                by: block.word(),
                reason: block.why().map(Cow::from),
                at: block.place.to_string(),
            }),
            ..Self::new(config, enrolment)
        }
    }

    /// Of one that is left out by lot.
    pub fn by_lot(config: &'a Config, enrolment: &Enrolment<'a>) -> Self {
        let lot = config.enrols[enrolment.block].lot.as_ref();
        let left_out = lot.map(|lot| LeftOutJson {
            by: "lot",
            reason: lot
                .failure(Lot::draw(&lot.name, enrolment.contact))
                .map(Cow::from),
            at: lot.place.to_string(),
        });
        Self {
            left_out,
            ..Self::new(config, enrolment)
        }
    }

    /// Of one that another automation displaces.
    pub fn displaced(config: &'a Config, roster: &Roster<'_>, enrolment: &Enrolment<'a>) -> Self {
        let by = roster.displacing(enrolment.contact, enrolment.automation);
        let left_out = by.map(|(first, exclusive)| LeftOutJson {
            by: "exclusive",
            reason: Some(Cow::from(format!(
                "{} goes first",
                config.automations[first].name
            ))),
            at: exclusive.place.to_string(),
        });
        Self {
            left_out,
            ..Self::new(config, enrolment)
        }
    }

    /// As a line for people.
    pub fn line(&self) -> String {
        let contact = SafeText(self.contact);
        let mut line = format!("{contact}  {}", self.automation);
        if let Some(occurrence) = self.occurrence {
            line += &format!("  occurrence {}", SafeText(occurrence));
        }
        line += &format!("  ({})", self.declared_at);
        if let Some(left_out) = &self.left_out {
            let reason = left_out.reason.as_deref();
            let reason = reason.map(|reason| format!(": {}", SafeText(reason)));
            let reason = reason.unwrap_or_default();
            let word = match left_out.by {
                "suppress" => "suppressed",
                _ => "left out",
            };
            line += &format!("  {word}{reason} ({})", left_out.at);
        }
        line
    }

    /// As cells for a spreadsheet, by the columns.
    pub fn cells(&self) -> Vec<String> {
        let occurrence = self.occurrence.unwrap_or_default();
        let mut cells = vec![self.contact, self.automation, occurrence, &self.declared_at];
        if let Some(left_out) = &self.left_out {
            let reason = left_out.reason.as_deref().unwrap_or_default();
            cells.extend([left_out.by, reason, &left_out.at]);
        }
        let cells = cells.into_iter().map(|text| cell(text).into_owned());
        cells.collect()
    }
}
