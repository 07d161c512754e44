//! Replays recorded traces of the original tracker against this one and compares every result.
//!
//! `cargo run --release --example replay [-- FILE...]`; by default the traces kept with the tests.
//! Exit status 1 on a mismatch, 2 on a file that can't be read.
#![forbid(unsafe_code)]

#[macro_use]
mod shared;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use incarnation_testkit::{replay, trace};

fn main() -> ExitCode {
    let mut files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.iter().any(|file| *file == Path::new("--help")) {
        println!(
            "replay [FILE...]: recorded traces, by default tests/data/traces.jsonl, against the tracker"
        );
        return ExitCode::SUCCESS;
    }
    if files.is_empty() {
        files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces.jsonl"));
    }
    match run(&files) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Replays the files; returns how many results differ from the recorded ones.
fn run(files: &[PathBuf]) -> Result<usize, Box<dyn std::error::Error>> {
    let (mut cases, mut ops, mut mismatches) = (0, 0, 0);
    for file in files {
        for case in trace::read(file)? {
            cases += 1;
            ops += case.ops.len();
            let wrong = replay::replay(&case).map_err(|why| {
                let (file, line) = (file.display(), case.line);
                format!("{file}: line {line}: case {}: {why}", case.case)
            })?;
            for mismatch in &wrong {
                println!("{}: {mismatch}", file.display());
            }
            mismatches += wrong.len();
        }
    }
    println!("{cases} cases, {ops} ops, {mismatches} mismatches");
    Ok(mismatches)
}
