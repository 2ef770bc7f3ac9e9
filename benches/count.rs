//! One hot path, once, for who counts its instructions: see `.ci/count`.
//!
//! `prepare FOLDER` makes what is worked on; then each of the other words does its part in a process of its own.

mod work;

use std::path::Path;

use tokio::runtime::Runtime;

const ROWS: u64 = 20_000;
const CALLS: u64 = 5_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let &[path, folder] = words.as_slice() else {
        // `cargo bench` names no path: there is nothing to count without valgrind.
        return;
    };
    let folder = Path::new(folder);
    // What each costs besides its path is the same, and is counted by `nothing`.
    let runtime = Runtime::new().unwrap();
    let config = || work::load(folder);
    match path {
        "prepare" => work::prepare(folder, ROWS),
        "nothing" => drop(config()),
        "parsing" => assert_eq!(work::parse(&config()) as u64, ROWS),
        "selecting" => assert!(!work::select(&config()).is_empty()),
        "diffing" => {
            let config = config();
            let roster = work::select(&config);
            assert!(work::diff(&runtime, &config, &roster).triggers() > 0);
        }
        "signing" => {
            config();
            assert!(work::sign(CALLS) > 0);
        }
        "journaling" => {
            config();
            work::journal(&runtime, folder, CALLS);
        }
        other => panic!("there is no path {other}"),
    }
}
