//! The machine under the benchmarks: which core a thread runs on, and whether others took it away.

use std::hint::black_box;
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use core_affinity::CoreId;

/// The cores this process may use; none, and then nobody is moved, where the system does not tell.
pub fn cores() -> &'static [CoreId] {
    static CORES: OnceLock<Vec<CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// Keeps this thread on one core. Else the system may put two workers on the same one for a while,
/// which is long here.
pub fn settle(number: usize) {
    let cores = cores();
    if let Some(core) = cores.get(number % cores.len().max(1)) {
        core_affinity::set_for_current(*core);
    }
}

/// How often this thread had to leave its core to another; 0 where the system does not tell.
pub fn preemptions() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// How many simple operations a core does at a time, with all cores at it: some 4 where a core is the program's own, and
/// less, down to half of that, where another thread, of this guest or of a neighbour's, runs on the same core. That is so today and
/// not tomorrow on a rented machine, and takes twice the time of what is bound by instructions, and hardly any of what is
/// bound by locked instructions or by memory.
pub fn width() -> f64 {
    let threads = cores().len().max(1);
    let barrier = Barrier::new(threads);
    let widths = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    settle(number);
                    barrier.wait();
                    let mut times = [Vec::new(), Vec::new()];
                    for _ in 0..101 {
                        times[0].push(chained::<8>());
                        times[1].push(chained::<1>());
                    }
                    let [abreast, alone] = times.map(|mut times| {
                        times.sort_unstable();
                        times[times.len() / 2].as_secs_f64()
                    });
                    8.0 * alone / abreast
                })
            })
            .collect();
        let widths = workers.into_iter().map(|worker| worker.join());
        widths.flatten().collect::<Vec<_>>()
    });
    widths.into_iter().fold(f64::INFINITY, f64::min)
}

/// How long it takes to go along so many chains of additions and rotations, each of which waits for the one before.
fn chained<const CHAINS: usize>() -> Duration {
    let begin = Instant::now();
    let mut chains: [u64; CHAINS] = black_box([1; CHAINS]);
    for step in 0..black_box(100_000_u64) {
        for (number, chain) in (1..).zip(&mut chains) {
            // Each by another distance, which has the compiler leave them single.
            *chain = chain.wrapping_add(step).rotate_left(number);
        }
    }
    black_box(chains);
    begin.elapsed()
}
