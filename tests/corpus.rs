//! What the fuzz targets search for is held here against every file of their corpus, and against configurations that
//! are damaged at random.

#[path = "../fuzz/promises.rs"]
mod promises;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder, and of the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn holds_for_the_corpus_of(target: &str, promise: fn(&[u8])) {
    let corpus = files(&root().join("fuzz/corpus").join(target));
    assert!(corpus.len() > 10, "the corpus of {target} is gone");
    for path in corpus {
        let bytes = fs::read(&path).unwrap();
        // Where a promise is broken, the last file named is the one.
        println!("{}", path.display());
        promise(&bytes);
    }
}

#[test]
fn every_configuration_of_the_corpus_is_read_or_refused() {
    holds_for_the_corpus_of("config", promises::config);
}

#[test]
fn every_table_of_the_corpus_is_read_or_refused() {
    holds_for_the_corpus_of("table", promises::table);
}

#[test]
fn every_answer_of_the_corpus_is_understood_or_doubted() {
    holds_for_the_corpus_of("answer", promises::answer);
}

#[test]
fn every_saved_plan_of_the_corpus_is_read_or_refused() {
    holds_for_the_corpus_of("saved", promises::saved);
}

/// The configurations of the examples, and those that `init` writes.
fn configurations() -> Vec<String> {
    let folders = ["examples", "src/cli/init"];
    let all = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder)));
    all.filter(|path| path.extension().is_some_and(|name| name == "toml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// What happens to a text by slips of the hand: a piece is lost, doubled, moved or replaced.
fn damaged(text: &str, slips: &[(u8, usize, usize, String)]) -> String {
    let mut text = text.to_owned();
    for (kind, at, length, other) in slips {
        let start = text.floor_char_boundary(at % (text.len() + 1));
        let end = text.floor_char_boundary((start + length).min(text.len()));
        let piece = text[start..end].to_owned();
        match kind {
            0 => text.replace_range(start..end, ""),
            1 => text.insert_str(end, &piece),
            2 => {
                text.replace_range(start..end, "");
                let to = text.floor_char_boundary(at.wrapping_mul(7919) % (text.len() + 1));
                text.insert_str(to, &piece);
            }
            _ => text.replace_range(start..end, other),
        }
    }
    text
}

fn slips() -> impl Strategy<Value = Vec<(u8, usize, usize, String)>> {
    let piece = prop_oneof![
        "[\\[\\]{}\"'=.,#\n]{1,3}",
        "[a-z]{1,6}",
        any::<char>().prop_map(String::from),
        Just("\"\"".to_owned()),
        Just("[[enrol]]\n".to_owned()),
    ];
    proptest::collection::vec((0_u8..4, any::<usize>(), 0_usize..40, piece), 1..5)
}

proptest! {
    // The same cases each time: a find belongs to who searches (`fuzz/`), not to whoever runs the tests next.
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(17),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_configuration_is_read_or_refused(
        which in any::<prop::sample::Index>(),
        more in any::<prop::sample::Index>(),
        slips in slips(),
        other_slips in slips(),
    ) {
        let all = configurations();
        let first: &String = which.get(&all);
        let second: &String = more.get(&all);
        let first = first.replace("lifecycle/*.toml", "more.toml");
        let text = format!(
            "{}\n#### more.toml\n{}",
            damaged(&first, &slips),
            damaged(second, &other_slips)
        );
        promises::config(text.as_bytes());
    }

    #[test]
    fn a_hostile_table_is_read_as_a_slow_reader_reads_it(
        how in prop::sample::select(b".,;\tneb".as_slice()),
        header in "(\u{feff})?(\r?\n)?\"?id\"?([,;\t]\"?x\"?){0,2}",
        // Rows up to about where one piece of the file ends and the next one begins.
        filler in prop_oneof![19 => Just(0_usize), 1 => (128_usize << 10) - 200..128 << 10],
        rest in prop_oneof![
            "([a-cé\\\\N \"]{0,3}[,;\t]?\"?[ab\"]{0,2}\"?(\r\n|\n|\r|)){0,12}",
            "([ab]{1,2}[,;\t]\"?[a,\"]{0,2}\"?\r?\n){0,12}\"?\0?",
            "([ab]{1,2}[,;\t][ab]{0,2}\n){0,12}(\"[ab]{0,2}\"|[ab]{0,2})[,;\t]?",
        ],
    ) {
        let mut bytes = vec![how];
        bytes.extend(header.as_bytes());
        let row = match header.chars().find(|c| ",;\t".contains(*c)) {
            Some(separator) => format!("\ncrm-1{separator}x"),
            None => "\ncrm-1".to_owned(),
        };
        while bytes.len() + row.len() < filler {
            bytes.extend(row.as_bytes());
        }
        bytes.push(b'\n');
        bytes.extend(rest.as_bytes());
        promises::table(&bytes);
        // A file can end anywhere.
        for cut in 1..bytes.len().min(6) {
            promises::table(&bytes[..bytes.len() - cut]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        promises::config(&bytes);
        promises::table(&bytes);
        promises::answer(&bytes);
        promises::saved(&bytes);
    }
}
