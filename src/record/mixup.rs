//! Answers that were not for their call: two contacts with the same `automationContactId`s.
//!
//! Whose they are cannot be told, so both are in doubt, and neither is stopped by them.

use rusqlite::{Connection, params};

use super::journal::CallId;
use super::names::Names;
use super::participation::{Key, Move, State, after};
use super::read::text;
use crate::id::{ContactId, Occurrence};

/// The detail of both.
pub const SAME_IDS: &str = "Spotler gave the same automationContactId to another contact";

/// Other contacts' participations with the same ids, by the call that brought these.
pub(super) type Mixups = Vec<(CallId, Vec<Key>)>;

/// The participations of other contacts that have these ids. `None` where nobody has them, and nobody ever shared them.
pub(super) fn find(
    tx: &Connection,
    names: &Names,
    ids: &str,
    own: &Key,
) -> rusqlite::Result<Option<Vec<Key>>> {
    let mut select = tx.prepare_cached(
        "SELECT contact, automation, occurrence FROM participation WHERE ids = ?1 AND contact <> ?2 \
         UNION ALL SELECT '', 0, '' FROM doubted_ids WHERE ids = ?1",
    )?;
    let mut rows = select.query(params![ids, own.contact.as_str()])?;
    let mut keys = None;
    while let Some(row) = rows.next()? {
        let keys = keys.get_or_insert_with(Vec::new);
        let key = |contact: &str, occurrence: &str, number: i64| {
            Some(Key {
                contact: ContactId::recorded(contact).ok()?,
                automation: names.automations_by_id().get(&number)?.clone(),
                occurrence: match occurrence {
                    "" => None,
                    occurrence => Some(Occurrence::recorded(occurrence).ok()?),
                },
            })
        };
        keys.extend(key(text(row, 0)?, text(row, 2)?, row.get(1)?));
    }
    Ok(keys)
}

/// Puts a call and all participations with its ids in doubt.
pub(super) fn doubt(tx: &Connection, now: i64, id: CallId, ids: &str) -> rusqlite::Result<()> {
    for state in State::ALL {
        // Where there is nothing to doubt, the state stays.
        let doubted = after(Some(state), Move::Doubt)
            .ok()
            .flatten()
            .unwrap_or(state);
        tx.prepare_cached(
            "UPDATE participation SET state = ?3, detail = ?4, changed_at = ?5, ids = NULL WHERE ids = ?1 AND state = ?2",
        )?
        .execute(params![ids, state.as_str(), doubted.as_str(), SAME_IDS, now])?;
    }
    tx.prepare_cached("INSERT OR IGNORE INTO doubted_ids (ids) VALUES (?)")?
        .execute([ids])?;
    tx.prepare_cached("UPDATE call SET outcome = 'uncertain', detail = ? WHERE id = ?")?
        .execute(params![SAME_IDS, id.0])?;
    Ok(())
}
