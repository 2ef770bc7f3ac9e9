//! Texts that are kept once, however often they are used: a million participations name the same automation, and each
//! contact several times.

use std::hash::BuildHasher;
use std::num::NonZeroU32;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// A text in a [`Texts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Symbol(NonZeroU32);

/// A set of texts.
#[derive(Default)]
pub(super) struct Texts {
    /// All texts, one after the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
    /// The symbols, by their texts' hashes.
    table: HashTable<Symbol>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    /// The symbol of a text, which is added if it is new.
    pub fn add(&mut self, text: &str) -> Symbol {
        let Self {
            text: all,
            ends,
            table,
            hasher,
        } = self;
        let entry = table.entry(
            hasher.hash_one(text),
            |&symbol| slice(all, ends, symbol) == text,
            |&symbol| hasher.hash_one(slice(all, ends, symbol)),
        );
        match entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                all.push_str(text);
                ends.push(all.len());
                let number = u32::try_from(ends.len()).ok().and_then(NonZeroU32::new);
                let symbol = Symbol(number.expect("memory ends before four billion texts do"));
                new.insert(symbol);
                symbol
            }
        }
    }

    /// The symbol of a text that was added before.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.table
            .find(self.hasher.hash_one(text), |&symbol| {
                self.get(symbol) == text
            })
            .copied()
    }

    /// A symbol's text.
    pub fn get(&self, symbol: Symbol) -> &str {
        slice(&self.text, &self.ends, symbol)
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], symbol: Symbol) -> &'a str {
    let index = symbol.0.get() as usize - 1;
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    &text[start..ends[index]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_symbol() {
        let mut texts = Texts::default();
        let symbols: Vec<Symbol> = (0..1000).map(|n| texts.add(&format!("crm-{n}"))).collect();
        let empty = texts.add("");
        for (n, symbol) in symbols.iter().enumerate() {
            let text = format!("crm-{n}");
            assert_eq!(texts.add(&text), *symbol);
            assert_eq!(texts.find(&text), Some(*symbol));
            assert_eq!(texts.get(*symbol), text);
        }
        assert_eq!(texts.get(empty), "");
        assert_eq!(texts.find("crm-1000"), None);
    }
}
