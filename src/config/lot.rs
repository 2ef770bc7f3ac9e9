//! `lot`: which part of all contacts a block may let in. A contact's number is the same in every run.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::diagnostic::{Diagnostic, Place};
use super::model::Enrol;
use super::reader::Item;
use crate::id;

/// `lot` of a block.
#[derive(Debug, Clone)]
pub struct Lot {
    /// Its name; each name draws anew.
    pub name: String,
    /// The part.
    pub part: Part,
    /// How the part is written: `10% to 100%`.
    pub shown: String,
    /// Where it is written.
    pub place: Place,
}

/// From where, included, up to where, not included, as numbers over 2⁶⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    from: u128,
    to: u128,
}

impl Lot {
    /// What a contact draws: a number over 2⁶⁴.
    pub fn draw(name: &str, contact: &str) -> u64 {
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(contact.as_bytes());
        let hash = hasher.finalize();
        hash[..8]
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether who draws this is in the part.
    pub fn takes(&self, drawn: u64) -> bool {
        (self.part.from..self.part.to).contains(&u128::from(drawn))
    }

    /// Why who draws this is not in the part: `lot onboarding-2026 is 4.2137%, wanted 10% to 100%`.
    pub fn failure(&self, drawn: u64) -> Option<String> {
        // Cut off, so that it is never shown on the wrong side of a bound of a few digits.
        let shares = (u128::from(drawn) * 1_000_000) >> 64;
        let (percent, rest) = (shares / 10_000, shares % 10_000);
        let Self { name, shown, .. } = self;
        let failure = || format!("lot {name} is {percent}.{rest:04}%, wanted {shown}");
        (!self.takes(drawn)).then(failure)
    }
}

/// Where a percentage lies, as a number over 2⁶⁴: the first that is not less.
fn bound(text: &str) -> Option<u128> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() > 3 || fraction.len() > 9 {
        return None;
    }
    let scale = 100 * 10_u128.pow(fraction.len() as u32);
    let shares: u128 = format!("{whole}{fraction}").parse().ok()?;
    (shares <= scale).then(|| (shares << 64).div_ceil(scale))
}

const EXAMPLE: &str = "{ name = \"onboarding-2026\", from = \"10%\", to = \"100%\" }";

/// A bound, with how it is written.
fn share<'a>(item: Option<Item<'a>>) -> Option<(u128, &'a str)> {
    let item = item?;
    let text = item.text("a share in quotes, such as \"10%\"")?;
    let bound = bound(text);
    if bound.is_none() {
        item.wrong(
            format!("`{}` is not a share from 0% to 100%", item.key),
            "write a share in quotes, such as \"10%\" or \"12.5%\"",
        );
    }
    Some((bound?, text))
}

pub(super) fn lot(item: &Item<'_>) -> Option<Lot> {
    let table = item.table("`lot`")?;
    let advice = format!("write lot = {EXAMPLE}");
    let [name, from, to] = ["name", "from", "to"].map(|key| table.require(key, &advice));
    table.finish();
    let name = name.and_then(|item| {
        let name = item.text("a name in quotes")?;
        let good = id::check(name);
        if let Err(why) = &good {
            item.wrong(
                format!("{name:?} is not a lot's name: {why}"),
                advice.as_str(),
            );
        }
        good.is_ok().then(|| name.to_owned())
    });
    let (from, to) = (share(from), share(to));
    let ((from, from_text), (to, to_text)) = (from?, to?);
    if from >= to {
        item.wrong(
            "`from` is not less than `to`, so nobody is in this part",
            advice,
        );
        return None;
    }
    Some(Lot {
        name: name?,
        part: Part { from, to },
        shown: format!("{from_text} to {to_text}"),
        place: item.place(),
    })
}

/// Parts of one name that overlap. Blocks with the very same part share it: that is how one control group is kept out of several
/// automations, or drawn from several sources.
pub(super) fn overlaps(enrols: &[Enrol]) -> Vec<Diagnostic> {
    let mut names: BTreeMap<&str, BTreeMap<Part, &Lot>> = BTreeMap::new();
    for lot in enrols.iter().filter_map(|enrol| enrol.lot.as_ref()) {
        let parts = names.entry(&lot.name).or_default();
        parts.entry(lot.part).or_insert(lot);
    }
    let mut list = Vec::new();
    for parts in names.values() {
        let lots: Vec<&Lot> = parts.values().copied().collect();
        for pair in lots.windows(2) {
            let [first, second] = pair else { continue };
            if first.part.to > second.part.from {
                let message = format!(
                    "two parts of lot {} overlap: {} and {}",
                    first.name, first.shown, second.shown
                );
                list.push(
                    Diagnostic::at(second.place.clone(), message)
                        .related(first.place.clone(), "the other part")
                        .help(
                            "let one begin where the other ends, write the same part in both, or give one another name",
                        ),
                );
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_draws_the_first_eight_bytes_of_a_sha_256() {
        // printf 'onboarding-2026\0crm-1001' | sha256sum
        assert_eq!(Lot::draw("onboarding-2026", "crm-1001"), 0x5751fafe0d950193);
    }

    #[test]
    fn a_bound_is_exact() {
        assert_eq!(bound("0%"), Some(0));
        assert_eq!(bound("50%"), Some(1 << 63));
        assert_eq!(bound("12.5%"), Some(1 << 61));
        assert_eq!(bound("100%"), Some(1 << 64));
        assert_eq!(bound("100.0 %"), Some(1 << 64));
        for wrong in ["", "%", "10", "-1%", "100.1%", "1e1%", ".5%", "5.%", "1_0%"] {
            assert_eq!(bound(wrong), None, "{wrong}");
        }
    }
}
