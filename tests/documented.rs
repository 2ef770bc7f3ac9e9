//! The documentation has every setting, and none that there is not.

mod common;

use std::collections::BTreeSet;

use common::Repo;

const DOCS: &str = include_str!("../docs/configuration.md");

/// What stands in backticks.
fn ticked(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The settings that the reader knows: it lists them to who writes one that it does not.
fn known(header: &str) -> BTreeSet<String> {
    let repo = Repo::with(&format!("{header}\nzzzzzzzzzzzz = 1\n"));
    let done = repo.run(&["validate", "--log-format", "json"]).exits(1);
    let helps = done.stderr.lines().filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["help"]
            .as_str()?
            .split_once(" takes ")
            .map(|(_, list)| list.to_owned())
    });
    ticked(&helps.collect::<Vec<_>>().pop().unwrap()).collect()
}

#[test]
fn every_table_of_settings_is_complete() {
    let mut tables = 0;
    for section in DOCS.split("\n## ").skip(1) {
        let mut heading = ticked(section.lines().next().unwrap());
        let (table, setting) = (heading.next().unwrap(), heading.next());
        // A table may take other settings with one of them.
        let setting = setting.map(|setting| format!("\n{setting} = \"$X\""));
        let header = match table.as_str() {
            "rollcall.toml" => String::new(),
            table => table.replace("NAME", "x") + &setting.unwrap_or_default(),
        };
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let documented: BTreeSet<String> = rows
            .flat_map(|row| ticked(row.split('|').nth(1).unwrap()))
            .collect();
        assert_eq!(documented, known(&header), "{header}");
        tables += 1;
    }
    // One for each table that rollcall.toml takes, besides its own, that of the paths, those of other kinds of sources and that
    // of objections as data; a contact's is free.
    assert_eq!(
        tables,
        known("").len() - "include contact".split(' ').count() + 5
    );
}
