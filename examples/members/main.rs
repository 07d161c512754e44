//! A real-looking `RwLock<Members>` moved to a tracker: `before.rs` beside `after.rs`, and what both cost.
//!
//! `cargo run --release --example members`: runs the same events through both, compares every answer, then measures
//! requests on one thread while gossip and replies come on another. Exit status 1 if an answer differs.

mod after;
mod before;
#[macro_use]
#[path = "../shared/mod.rs"]
mod shared;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use incarnation::Timestamp;

/// Round-trip times that a member's ring is chosen by.
const RTTS: usize = 20;
const MEMBERS: u64 = 1_000;
const USAGE: &str =
    "members [--help]: moves a RwLock<Members> to a tracker, compares and measures both";

/// A member as the engine tells of it.
#[derive(Clone)]
pub struct Actor {
    id: u64,
    addr: SocketAddr,
    /// When it took its identity, in seconds.
    since: u64,
    labels: Vec<String>,
}

/// The ring of a mean round-trip time: members are asked from near to far.
pub const fn ring_of(millis: u32) -> u8 {
    match millis {
        0..6 => 0,
        6..15 => 1,
        15..50 => 2,
        50..100 => 3,
        100..200 => 4,
        _ => 5,
    }
}

fn actor(number: u64, since: u64) -> Actor {
    let [.., a, b] = (number as u32).to_be_bytes();
    Actor {
        id: number,
        addr: SocketAddr::from(([10, 0, a, b], 7946)),
        since,
        labels: vec![format!("zone-{}", number % 3), String::from("v1")],
    }
}

/// The same events to both; the first answer that differs.
fn compare(random: &mut fastrand::Rng) -> Result<usize, String> {
    let (old, new) = (
        before::Members::default(),
        after::Members::new(MEMBERS as usize).map_err(|error| error.to_string())?,
    );
    let now = Timestamp::ZERO;
    let mut answers = 0;
    for step in 0..20_000 {
        let node = actor(random.u64(..50), random.u64(..20));
        let same = match random.u8(..8) {
            0 | 1 => old.up(&node) == new.up(&node, now),
            2 => old.down(&node) == new.down(&node, now),
            3 | 4 => {
                let millis = random.u16(..20);
                old.replied(&node.addr, millis);
                new.replied(&node.addr, millis);
                true
            }
            5 => sorted(old.closest()) == sorted(new.closest()),
            6 => sorted(old.labelled("zone-1")) == sorted(new.labelled("zone-1")),
            _ => old.is_up(&node.addr) == new.is_up(&node.addr),
        };
        if !same {
            return Err(format!(
                "step {step}: the answers about {} differ",
                node.addr
            ));
        }
        answers += 1;
    }
    Ok(answers)
}

fn sorted(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses
}

/// Nanoseconds a request, while another thread tells of members all the time: the median of many slices.
fn request(is_up: impl Fn(&SocketAddr) -> bool + Sync, gossip: impl Fn(u64) + Sync) -> f64 {
    const SLICE: u64 = 1_024;
    let addresses: Vec<_> = (0..MEMBERS).map(|number| actor(number, 0).addr).collect();
    let (over, begin) = (AtomicBool::new(false), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            begin.wait();
            for step in 0.. {
                if over.load(Relaxed) {
                    return;
                }
                gossip(step);
            }
        });
        begin.wait();
        let mut slices = Vec::new();
        let mut place = 0;
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end {
            let slice = Instant::now();
            for _ in 0..SLICE {
                place = (place + 7) % addresses.len();
                std::hint::black_box(is_up(&addresses[place]));
            }
            slices.push(slice.elapsed().as_nanos() as f64 / SLICE as f64);
        }
        over.store(true, Relaxed);
        slices.sort_unstable_by(f64::total_cmp);
        slices[slices.len() / 2]
    })
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match compare(&mut fastrand::Rng::with_seed(7)) {
        Ok(answers) => println!("{answers} answers of both are the same"),
        Err(difference) => {
            println!("{difference}");
            return ExitCode::FAILURE;
        }
    }
    let old = before::Members::default();
    let Ok(new) = after::Members::new(MEMBERS as usize) else {
        return ExitCode::FAILURE;
    };
    for number in 0..MEMBERS {
        old.up(&actor(number, 1));
        new.up(&actor(number, 1), Timestamp::ZERO);
    }
    // In turn, so that a busy moment of the machine is in both.
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        times[0].push(request(
            |addr| old.is_up(addr),
            |step| old.replied(&actor(step % MEMBERS, 1).addr, (step % 30) as u16),
        ));
        times[1].push(request(
            |addr| new.is_up(addr),
            |step| new.replied(&actor(step % MEMBERS, 1).addr, (step % 30) as u16),
        ));
    }
    let [before, after] = times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "a request while replies come on another thread: {before:.1} ns before, {after:.1} ns after"
    );
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_locked_map_and_the_tracker_answer_alike() {
        for seed in 0..20 {
            let answers = super::compare(&mut fastrand::Rng::with_seed(seed));
            assert_eq!(answers, Ok(20_000));
        }
    }
}
