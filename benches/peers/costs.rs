//! The README's table: what a user does, here, with the best of the maps, and with the mirror behind a lock.

use std::fmt::Write as _;

use crate::measure::Figure;

/// One line: what is done, and who does it here.
const LINES: [(&str, &str, usize, &str); 9] = [
    ("lookup, one hot node", "lookup_hot", 10_000, "incarnation"),
    (
        "lookup, one hot node, many under one view (guard)",
        "lookup_hot",
        10_000,
        "incarnation-view",
    ),
    (
        "state through a handle",
        "lookup_hot",
        10_000,
        "incarnation-handle",
    ),
    (
        "lookup, 10,000 nodes",
        "lookup_uniform",
        10_000,
        "incarnation",
    ),
    (
        "lookup, 1,000,000 nodes",
        "lookup_uniform",
        1_000_000,
        "incarnation",
    ),
    (
        "lookup, 1,000,000 nodes, of 32 at once",
        "lookup_uniform",
        1_000_000,
        "incarnation-batch",
    ),
    (
        "claim that changes nothing, one hot node",
        "claim_duplicate_hot",
        10_000,
        "incarnation",
    ),
    (
        "packet of 32 claims, 1,000,000 nodes, a claim of it",
        "packet_32",
        1_000_000,
        "incarnation-batch",
    ),
    (
        "a join and a removal, 10,000 nodes",
        "churn",
        10_000,
        "incarnation",
    ),
];

const LOCKED: [&str; 2] = ["rwlock-hashbrown", "rwlock-std"];

/// What a subject is to be compared with: those that protect what it protects.
fn is_like(ours: &str, other: &str) -> bool {
    match ours {
        "incarnation-view" => other.ends_with("-guard"),
        "incarnation-batch" => true,
        _ => !other.ends_with("-guard"),
    }
}

/// A Markdown table of medians, two threads.
pub fn table(figures: &[Figure]) -> String {
    let mut table = String::from(
        "| | here | the best of the maps | `RwLock<HashMap>`, std's or parking_lot's |\n|---|---|---|---|\n",
    );
    for (what, workload, nodes, ours) in LINES {
        let of_line = |figure: &&Figure| {
            (figure.workload.as_str(), figure.nodes, figure.threads) == (workload, nodes, 2)
                && !figure.huge
        };
        let best = |wanted: &dyn Fn(&str) -> bool| {
            let figures = figures.iter().filter(of_line);
            let figures = figures.filter(|figure| wanted(&figure.subject));
            figures.min_by(|a, b| a.median_ns.total_cmp(&b.median_ns))
        };
        let Some(here) = best(&|subject| subject == ours) else {
            continue;
        };
        let map = best(&|subject| {
            !subject.starts_with("incarnation")
                && !LOCKED.contains(&subject)
                && is_like(ours, subject)
        });
        let locked = best(&|subject| LOCKED.contains(&subject) && is_like(ours, subject));
        let _ = write!(table, "| {what} | {:.1} |", here.median_ns);
        for (other, named) in [(map, true), (locked, false)] {
            let _ = match other {
                Some(other) if named => {
                    write!(table, " {} {:.1} |", other.subject, other.median_ns)
                }
                Some(other) => write!(table, " {:.1} |", other.median_ns),
                None => write!(table, " |"),
            };
        }
        table.push('\n');
    }
    table
}
