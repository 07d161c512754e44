//! What the tracker is held to: each target with the ratio that was measured.

use std::fmt::Write as _;

use crate::measure::Figure;
use crate::workloads::Workload;

/// The subjects that hold one guard for many operations.
const GUARDED: [&str; 2] = ["papaya-guard", "scc-index-guard"];

/// Whom our figure is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// The best peer that protects each operation for itself.
    PerOperation,
    /// The best held guard.
    Guards,
    /// The best peer, either way.
    Anyone,
    /// One subject.
    Peer(&'static str),
    /// The same subject with one thread: twice the throughput is half the time for an operation of
    /// any thread, so the ratio is of the times for one thread.
    OneThread,
}

struct Target {
    what: &'static str,
    workload: &'static str,
    nodes: usize,
    threads: usize,
    ours: &'static str,
    against: Against,
    /// The ratio must not be above it.
    limit: f64,
}

const TINY: usize = 1_000;
const SMALL: usize = 10_000;
const MIDDLE: usize = 100_000;
const LARGE: usize = 1_000_000;
/// In the order in which a whole run measures them.
const SIZES: [usize; 4] = [SMALL, TINY, MIDDLE, LARGE];

#[rustfmt::skip]
const TARGETS: [Target; 26] = [
    target("lookup, hot node, one pin per operation", "lookup_hot", SMALL, "incarnation", Against::PerOperation, 0.50),
    target("lookup, hot node, held view / best held guard", "lookup_hot", SMALL, "incarnation-view", Against::Guards, 0.92),
    target("lookup, zipf 10k", "lookup_zipf", SMALL, "incarnation", Against::PerOperation, 0.70),
    target("lookup, uniform 10k", "lookup_uniform", SMALL, "incarnation", Against::PerOperation, 0.68),
    target("lookup, uniform 100k", "lookup_uniform", MIDDLE, "incarnation", Against::PerOperation, 0.95),
    target("lookup, uniform 1M, one pin per operation", "lookup_uniform", LARGE, "incarnation", Against::PerOperation, 0.90),
    target("lookup, uniform 1M, held view / best of all", "lookup_uniform", LARGE, "incarnation-view", Against::Anyone, 0.80),
    Target { threads: 1, ..target("lookup, uniform 1M, 1 thread", "lookup_uniform", LARGE, "incarnation", Against::PerOperation, 1.00) },
    Target { threads: 1, ..target("lookup, dependent 1M, 1 thread", "lookup_dependent", LARGE, "incarnation", Against::PerOperation, 1.00) },
    target("lookup, miss 1M", "lookup_miss", LARGE, "incarnation", Against::PerOperation, 1.00),
    target("duplicate claim, hot", "claim_duplicate_hot", SMALL, "incarnation", Against::PerOperation, 0.65),
    target("accepted claim, hot", "claim_accepted_hot", SMALL, "incarnation", Against::PerOperation, 0.70),
    target("95/5 mix, zipf 10k", "mix_95_5", SMALL, "incarnation", Against::PerOperation, 0.45),
    target("packet of 32 claims, 1M, per claim", "packet_32", LARGE, "incarnation-batch", Against::Anyone, 0.35),
    target("handle's state / best peer's lookup, hot", "lookup_hot", SMALL, "incarnation-handle", Against::PerOperation, 0.15),
    target("full iteration, 10k", "iterate", SMALL, "incarnation", Against::Anyone, 0.75),
    target("full iteration, 1M", "iterate", LARGE, "incarnation", Against::Anyone, 0.25),
    Target { threads: 1, ..target("join and removal, 10k, 1 thread / RwLock<hashbrown>", "churn", SMALL, "incarnation", Against::Peer("rwlock-hashbrown"), 1.70) },
    target("join and removal, 10k", "churn", SMALL, "incarnation", Against::PerOperation, 1.40),
    target("join and removal, 1,000", "churn", TINY, "incarnation", Against::PerOperation, 1.70),
    target("join and removal, 1M", "churn", LARGE, "incarnation", Against::PerOperation, 1.50),
    Target { threads: 1, ..target("pinned / unprotected lookup, hot, 1 thread", "lookup_hot", SMALL, "incarnation", Against::Peer("incarnation-unprotected"), 1.30) },
    Target { threads: 1, ..target("pinned / unprotected lookup, uniform 10k, 1 thread", "lookup_uniform", SMALL, "incarnation", Against::Peer("incarnation-unprotected"), 1.15) },
    target("hot lookups, time with 2 threads / with 1 (2 / 1.9)", "lookup_hot", SMALL, "incarnation", Against::OneThread, 2.0 / 1.9),
    target("lookup, hot node, the peers' hasher", "lookup_hot", SMALL, "incarnation-same-hasher", Against::PerOperation, 0.50),
    target("lookup, uniform 1M, the peers' hasher", "lookup_uniform", LARGE, "incarnation-same-hasher", Against::PerOperation, 0.90),
];

const fn target(
    what: &'static str,
    workload: &'static str,
    nodes: usize,
    ours: &'static str,
    against: Against,
    limit: f64,
) -> Target {
    Target {
        what,
        workload,
        nodes,
        threads: 2,
        ours,
        against,
        limit,
    }
}

pub fn is_ours(subject: &str) -> bool {
    subject.starts_with("incarnation")
}

/// The figures of two runs, those of the later one where both have some. A ratio is of one run all the same: a run measures all
/// subjects of its workloads.
pub fn added(before: Vec<Figure>, later: Vec<Figure>) -> Vec<Figure> {
    let is_of_both = |figure: &Figure| {
        later.iter().any(|one| {
            (&one.workload, one.nodes, one.threads)
                == (&figure.workload, figure.nodes, figure.threads)
        })
    };
    let mut all: Vec<_> = before
        .into_iter()
        .filter(|figure| !is_of_both(figure))
        .collect();
    all.extend(later);
    let place = |figure: &Figure| {
        let size = SIZES.iter().position(|nodes| *nodes == figure.nodes);
        let mut workloads = Workload::ALL.iter();
        (
            size,
            workloads.position(|one| one.id() == figure.workload),
            figure.threads,
        )
    };
    // Stable, so the subjects of a workload stay in order.
    all.sort_by_key(place);
    all
}

/// The figure a target is compared with.
fn other<'f>(target: &Target, figures: &'f [Figure]) -> Option<&'f Figure> {
    let threads = match target.against {
        Against::OneThread => 1,
        _ => target.threads,
    };
    figures
        .iter()
        .filter(|figure| {
            (figure.workload.as_str(), figure.nodes, figure.threads)
                == (target.workload, target.nodes, threads)
        })
        .filter(|figure| match target.against {
            Against::PerOperation => {
                !is_ours(&figure.subject) && !GUARDED.contains(&figure.subject.as_str())
            }
            Against::Guards => GUARDED.contains(&figure.subject.as_str()),
            Against::Anyone => !is_ours(&figure.subject),
            Against::Peer(subject) => figure.subject == subject,
            Against::OneThread => figure.subject == target.ours,
        })
        .min_by(|a, b| a.median_ns.total_cmp(&b.median_ns))
}

/// A Markdown table of the targets, with what was measured.
pub fn table(figures: &[Figure]) -> String {
    let mut table = String::from(
        "| target | ours, ns | compared with, ns | ratio | at most | |\n|---|---|---|---|---|---|\n",
    );
    for target in &TARGETS {
        let ours = figures.iter().find(|figure| {
            (
                figure.workload.as_str(),
                figure.nodes,
                figure.threads,
                figure.subject.as_str(),
            ) == (target.workload, target.nodes, target.threads, target.ours)
        });
        let (Some(ours), Some(other)) = (ours, other(target, figures)) else {
            continue;
        };
        let ratio = ours.median_ns / other.median_ns;
        let verdict = if ratio <= target.limit {
            "met"
        } else {
            "missed"
        };
        let _ = writeln!(
            table,
            "| {} | {:.1} | {} {:.1} | {ratio:.2} | {:.2} | {verdict} |",
            target.what,
            ours.median_ns,
            other.label(),
            other.median_ns,
            target.limit,
        );
    }
    table
}

/// A Markdown table of all figures: a row a subject and workload.
pub fn all(figures: &[Figure]) -> String {
    let mut table = String::from(
        "| workload | nodes | threads | subject | median, ns | lowest | highest | ours / it |\n|---|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let ours = figures.iter().find(|ours| {
            ours.subject == "incarnation"
                && (&ours.workload, ours.nodes, ours.threads)
                    == (&figure.workload, figure.nodes, figure.threads)
        });
        let ratio = ours.map_or(String::new(), |ours| {
            format!("{:.2}", ours.median_ns / figure.median_ns)
        });
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {ratio} |",
            figure.workload,
            figure.nodes,
            figure.threads,
            figure.label(),
            figure.median_ns,
            figure.min_ns,
            figure.max_ns,
        );
    }
    table
}

/// Markdown tables for people: for each workload and number of threads a row, for each subject a
/// column; medians. One table for ours and one for the others, since they are wide.
pub fn wide(figures: &[Figure]) -> String {
    let mut rows: Vec<(&str, usize, usize)> = Vec::new();
    let mut subjects: Vec<String> = Vec::new();
    for figure in figures {
        let row = (figure.workload.as_str(), figure.nodes, figure.threads);
        if !rows.contains(&row) {
            rows.push(row);
        }
        if !subjects.contains(&figure.label()) {
            subjects.push(figure.label());
        }
    }
    let (ours, others): (Vec<_>, Vec<_>) = subjects.into_iter().partition(|one| is_ours(one));
    [ours, others]
        .iter()
        .map(|subjects| wide_table(figures, &rows, subjects))
        .collect::<Vec<_>>()
        .join("\n")
}

fn wide_table(figures: &[Figure], rows: &[(&str, usize, usize)], subjects: &[String]) -> String {
    let mut table = String::from("| workload | nodes | threads |");
    for subject in subjects {
        let _ = write!(table, " {subject} |");
    }
    let _ = writeln!(table, "\n|---|---|---|{}", "---|".repeat(subjects.len()));
    for (workload, nodes, threads) in rows {
        let _ = write!(table, "| {workload} | {nodes} | {threads} |");
        for subject in subjects {
            let figure = figures.iter().find(|figure| {
                (
                    figure.workload.as_str(),
                    figure.nodes,
                    figure.threads,
                    figure.label(),
                ) == (*workload, *nodes, *threads, subject.clone())
            });
            let cell = figure.map_or(String::new(), |figure| format!("{:.1}", figure.median_ns));
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    table
}
