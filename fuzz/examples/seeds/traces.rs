//! Recorded traces, cut short: one case of each kind of operation, and lines that are no case.

use std::collections::BTreeSet;
use std::path::Path;
use std::{error::Error, fs};

use super::Seeds;

/// Longer inputs are slow to mutate.
const MAX_BYTES: usize = 4096;

pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/traces.jsonl");
    let text = fs::read_to_string(file)?;
    let mut short: Vec<&str> = text
        .lines()
        .filter(|line| line.len() <= MAX_BYTES)
        .collect();
    short.sort_by_key(|line| line.len());
    let mut seeds = Seeds::new();
    let mut known = BTreeSet::new();
    for line in &short {
        let before = known.len();
        known.extend(
            line.split("\"op\":\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next()),
        );
        if known.len() > before {
            seeds.push((format!("case-{}", seeds.len()), line.as_bytes().to_vec()));
        }
    }
    let shortest = short.first().ok_or("no short case")?;
    for (name, text) in [
        ("empty", String::new()),
        ("blank", "\n \n".to_owned()),
        ("second-line", format!("\n{shortest}\n{{}}\n")),
        ("truncated", shortest[..shortest.len() / 2].to_owned()),
        ("not-an-object", "[1,2,3]\n".to_owned()),
        ("deep", "[".repeat(200)),
        (
            "negative",
            shortest.replacen("\"max_nodes\":", "\"max_nodes\":-", 1),
        ),
        (
            "enormous",
            shortest.replacen("\"max_jump\":", "\"max_jump\":99999999999999999999", 1),
        ),
    ] {
        seeds.push((name.to_owned(), text.into_bytes()));
    }
    Ok(seeds)
}
