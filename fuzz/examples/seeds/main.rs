//! Writes the seeds that fuzzing starts from, `seeds/<target>/<name>`, each a situation by hand.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`. Run it after a change of how bytes
//! are read, and commit what it wrote.

mod datagrams;
mod digests;
mod durable;
mod operations;
mod snapshots;
mod traces;

use std::error::Error;
use std::fs;
use std::path::Path;

/// Names and bytes.
type Seeds = Vec<(String, Vec<u8>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    for (target, inputs) in [
        ("datagram", datagrams::seeds()),
        ("digest", digests::seeds()?),
        ("durable", durable::seeds()),
        ("operations", operations::seeds()),
        ("snapshot", snapshots::seeds()?),
        ("traces", traces::seeds()?),
    ] {
        let directory = seeds.join(target);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let count = inputs.len();
        for (name, bytes) in inputs {
            fs::write(directory.join(name), bytes)?;
        }
        println!("{target}: {count} seeds");
    }
    Ok(())
}
