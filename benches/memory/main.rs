//! Resident memory per node, of the tracker and of what people use instead: `cargo bench --bench memory`.
//!
//! Each subject and size is a process of its own, which fills a presized table with `SocketAddr` keys,
//! takes every node out again, and fills it with as many others: what a table does not give back it
//! must at least use again. Writes `target/memory.json`; `--record` also the table for
//! docs/performance.md.

#[path = "../record.rs"]
#[allow(dead_code, reason = "shared with the other benches")]
mod record;
#[path = "../subjects/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the other benches")]
mod subjects;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use incarnation::{Claim, Timestamp};
use incarnation_testkit::resident;
use serde::{Deserialize, Serialize};
use subjects::*;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// Where the second filling's nodes begin.
const OTHERS: usize = 1 << 24;
/// The tracker once more, its nodes leaving by death: what tombstones cost.
const WITH_TOMBSTONES: &str = "incarnation-tombstones";

/// A row of `target/memory.json`.
#[derive(Serialize)]
struct Figure<'a> {
    subject: &'a str,
    nodes: usize,
    bytes_per_node: f64,
}

/// What one process found out; bytes above those it used without a table.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Found {
    filled: usize,
    /// After everybody has left; `None` if nobody can.
    emptied: Option<usize>,
    /// After as many others came.
    refilled: Option<usize>,
}

/// Node number so and so. Numbers are told apart by address and port, in no order a hash could use.
fn node(number: usize) -> SocketAddr {
    let mixed = (number as u32).wrapping_mul(0x9e37_79b1);
    SocketAddr::from((mixed.to_be_bytes(), 1024 + (number >> 24) as u16))
}

fn nodes(first: usize, count: usize) -> impl Iterator<Item = SocketAddr> {
    (first..first + count).map(node)
}

fn used() -> usize {
    resident::bytes().expect("a system that tells the resident memory")
}

fn observe<S: Subject>(count: usize) -> Found {
    let claims = |first| nodes(first, count).map(|node| (node, Claim::alive(1)));
    // So that what comes with the first use of anything is there.
    S::with_capacity(64).fill(claims(0).take(64), 1);
    let before = used();
    let table = S::with_capacity(count);
    table.fill(claims(0), 1);
    let filled = used().saturating_sub(before);
    if !table.clear(nodes(0, count), 2) {
        return Found {
            filled,
            emptied: None,
            refilled: None,
        };
    }
    table.sweep(3);
    let emptied = used().saturating_sub(before);
    table.fill(claims(OTHERS), 4);
    let refilled = used().saturating_sub(before);
    Found {
        filled,
        emptied: Some(emptied),
        refilled: Some(refilled),
    }
}

/// The tracker, whose nodes die and are evicted by a sweep, as most do in life.
fn observe_tombstones(count: usize) -> Found {
    let before = used();
    let tracker = incarnation::IncarnationTracker::<SocketAddr>::builder()
        .max_nodes(count)
        .dead_retention(std::time::Duration::ZERO)
        .hasher(hasher())
        .build()
        .expect("the limits fit each other");
    let put = |first, claim, now| {
        for node in nodes(first, count) {
            let verdict = tracker.update(&node, claim, Timestamp::from_nanos(now));
            assert!(verdict.accepted());
        }
    };
    put(0, Claim::alive(1), 1);
    let filled = used().saturating_sub(before);
    put(0, Claim::dead(1), 2);
    let report = tracker.sweep(Timestamp::from_nanos(3));
    assert_eq!(report.evicted(), count);
    let emptied = used().saturating_sub(before);
    put(OTHERS, Claim::alive(1), 4);
    Found {
        filled,
        emptied: Some(emptied),
        refilled: Some(used().saturating_sub(before)),
    }
}

/// The subjects by name; the largest size that is worth the wait.
type Observe = fn(usize) -> Found;

fn contestants() -> Vec<(&'static str, Observe, usize)> {
    macro_rules! subjects {
        ($($subject:ty),* $(,)?) => {
            vec![$((<$subject>::ID, observe::<$subject> as Observe, usize::MAX)),*]
        };
    }
    let mut all = subjects!(
        PerOperation,
        Dashed,
        Papaya,
        SccIndex,
        SccMap,
        Flurried,
        LockedHashbrown,
        LockedStd,
        ArcSwapped,
    );
    // It searches its list for every claim.
    all.push((FocaMembers::ID, observe::<FocaMembers>, 10_000));
    all.push((WITH_TOMBSTONES, observe_tombstones, usize::MAX));
    all
}

/// Observes in a process of its own.
fn in_process(subject: &str, nodes: usize) -> Result<Found, Box<dyn std::error::Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--subject", subject, "--nodes", &nodes.to_string()])
        .output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{subject} of {nodes} nodes: {errors}").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn row(subject: &str, nodes: usize, found: Found) -> String {
    let each = |bytes: usize| bytes as f64 / nodes as f64;
    let or_none = |bytes: Option<usize>| {
        bytes.map_or("none leave".into(), |bytes| format!("{:.1}", each(bytes)))
    };
    format!(
        "| {subject} | {nodes} | {:.1} | {} | {} |\n",
        each(found.filled),
        or_none(found.emptied),
        or_none(found.refilled),
    )
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)
    };
    if let (Some(subject), Some(nodes)) = (value("--subject"), value("--nodes")) {
        let all = contestants();
        let known = all.iter().find(|(id, ..)| id == subject);
        let (_, observe, _) = known.ok_or("no such subject")?;
        println!("{}", serde_json::to_string(&observe(nodes.parse()?))?);
        return Ok(());
    }
    let mut table = String::from(
        "| subject | nodes | bytes a node | after all left | after as many others came |\n|---|---|---|---|---|\n",
    );
    let mut figures = Vec::new();
    for nodes in SIZES {
        for (subject, _, most) in contestants() {
            if nodes > most {
                continue;
            }
            let found = in_process(subject, nodes)?;
            let _ = write!(table, "{}", row(subject, nodes, found));
            if subject != WITH_TOMBSTONES {
                figures.push(Figure {
                    subject,
                    nodes,
                    bytes_per_node: found.filled as f64 / nodes as f64,
                });
            }
        }
    }
    println!("{table}");
    record::json("memory.json", &figures)?;
    if arguments.iter().any(|argument| argument == "--record") {
        record::section("memory", &table)?;
    }
    Ok(())
}
