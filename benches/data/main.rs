//! What data of a program's own costs: `cargo bench --bench data`, with `--record` into docs/performance.md.
//!
//! Two trackers differ in nothing but `D`: `()` and 64 bytes. Both are measured in turn, on one thread. Each 1,024 operations
//! are timed apart, the median of the chunks is the figure of a round, and the median of the rounds is shown. Resident
//! memory is that of a process of its own for each tracker.

#[path = "../record.rs"]
#[allow(dead_code, reason = "shared with the other benches")]
mod record;

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use incarnation::{Claim, IncarnationTracker, RandomState, Timestamp};
use incarnation_testkit::resident;

const NODES: usize = 10_000;
/// Nodes of the table whose resident memory is measured.
const MANY: usize = 100_000;
const CHUNK: usize = 1024;
const CHUNKS: usize = 160;
const ROUNDS: usize = 25;
const NOW: Timestamp = Timestamp::from_nanos(7);

/// What a program may keep of a node: a cache line.
type Bytes64 = [u64; 8];

type Tracker<D> = IncarnationTracker<SocketAddr, D>;

fn node(number: usize) -> SocketAddr {
    let mixed = (number as u32).wrapping_mul(0x9e37_79b1);
    SocketAddr::from((mixed.to_be_bytes(), 7946))
}

fn tracker<D: Send + Sync + 'static>(nodes: usize, make: fn(&SocketAddr) -> D) -> Tracker<D> {
    let tracker = IncarnationTracker::<SocketAddr>::builder()
        .max_nodes(nodes)
        // They would round up the resident memory.
        .huge_pages(false)
        .hasher(RandomState::with_seeds([1, 2, 3, 4]))
        .data_with(make)
        .build()
        .expect("the limits fit each other");
    for number in 0..nodes {
        assert!(
            tracker
                .update(&node(number), Claim::alive(1), NOW)
                .accepted()
        );
    }
    tracker
}

/// Nodes of the table in an order that no prefetcher follows.
fn order() -> Vec<SocketAddr> {
    let mut state = 1_u32;
    (0..CHUNK * 64)
        .map(|_| {
            state = state.wrapping_mul(0x915f_77f5).wrapping_add(1);
            node(((u64::from(state) * NODES as u64) >> 32) as usize)
        })
        .collect()
}

const OPERATIONS: [&str; 4] = [
    "a lookup",
    "a lookup that reads the data",
    "a duplicate claim",
    "a join and a removal",
];

/// Nanoseconds of one operation: the median of the chunks.
fn measure(mut operation: impl FnMut(usize)) -> f64 {
    let mut times: Vec<f64> = (0..CHUNKS)
        .map(|chunk| {
            let begin = Instant::now();
            for place in 0..CHUNK {
                operation(chunk * CHUNK + place);
            }
            begin.elapsed().as_nanos() as f64 / CHUNK as f64
        })
        .collect();
    median(&mut times[CHUNKS / 4..])
}

fn median(figures: &mut [f64]) -> f64 {
    let middle = figures.len() / 2;
    *figures.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn round<D: Send + Sync + 'static>(
    tracker: &Tracker<D>,
    order: &[SocketAddr],
    read: fn(&D) -> u64,
) -> [f64; OPERATIONS.len()] {
    [
        measure(|place| {
            black_box(tracker.get(&order[place % order.len()]));
        }),
        measure(|place| {
            let view = tracker.pin();
            let member = view.find(&order[place % order.len()]);
            black_box(member.map(|member| read(member.data())));
        }),
        measure(|place| {
            let _ = black_box(tracker.update(&order[place % order.len()], Claim::alive(1), NOW));
        }),
        measure(|place| {
            let stranger = node(NODES + place % 512);
            let _ = black_box(tracker.update(&stranger, Claim::alive(1), NOW));
            black_box(tracker.forget(&stranger));
        }),
    ]
}

/// Resident bytes of a table of [`MANY`] nodes, for each node.
fn bytes_a_node<D: Send + Sync + 'static>(make: fn(&SocketAddr) -> D) -> f64 {
    drop(tracker(64, make));
    let used = || resident::bytes().expect("a system that tells the resident memory");
    let before = used();
    let tracker = tracker(MANY, make);
    let bytes = used().saturating_sub(before);
    drop(tracker);
    bytes as f64 / MANY as f64
}

fn in_process(which: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--memory", which])
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--memory") {
        let bytes = match arguments.get(place + 1).map(String::as_str) {
            Some("none") => bytes_a_node(|_| ()),
            _ => bytes_a_node(|_| Bytes64::default()),
        };
        println!("{bytes}");
        return Ok(());
    }
    let conditions = record::conditions();
    let order = order();
    let none = tracker(NODES, |_| ());
    let bytes = tracker(NODES, |_| Bytes64::default());
    let mut times: [[Vec<f64>; 2]; OPERATIONS.len()] = Default::default();
    for _ in 0..ROUNDS {
        let both = [
            round(&none, &order, |()| 0),
            round(&bytes, &order, |data| data[0]),
        ];
        for (operation, [none, bytes]) in times.iter_mut().enumerate() {
            none.push(both[0][operation]);
            bytes.push(both[1][operation]);
        }
    }
    let mut table = format!("{conditions}\n\n| | `D = ()` | `D` of 64 bytes |\n|---|---|---|\n");
    for (operation, [none, bytes]) in OPERATIONS.iter().zip(&mut times) {
        writeln!(
            table,
            "| {operation}, ns | {:.1} | {:.1} |",
            median(none),
            median(bytes)
        )?;
    }
    writeln!(
        table,
        "| resident bytes a node | {:.1} | {:.1} |",
        in_process("none")?,
        in_process("64")?
    )?;
    writeln!(
        table,
        "| bytes an entry | {} | {} |",
        Tracker::<()>::entry_size(),
        Tracker::<Bytes64>::entry_size()
    )?;
    println!("{table}");
    if arguments.iter().any(|argument| argument == "--record") {
        record::section("data", &table)?;
    }
    Ok(())
}
