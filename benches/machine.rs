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

/// How many times as long an arithmetic loop takes on all cores at once as on one of them: 1 where the cores are
/// cores, up to 2 where they are two threads of one, as a guest's may be today and not tomorrow. (A loop that is bound
/// by locked instructions or by memory hardly notices.)
pub fn sharing() -> f64 {
    const ROUNDS: usize = 25;
    let threads = cores().len().max(1);
    let barrier = Barrier::new(threads);
    let times = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let barrier = &barrier;
                scope.spawn(move || {
                    settle(number);
                    let mut times = [Duration::MAX; 2];
                    for _ in 0..ROUNDS {
                        barrier.wait();
                        if number == 0 {
                            times[0] = times[0].min(arithmetic());
                        }
                        barrier.wait();
                        times[1] = times[1].min(arithmetic());
                    }
                    times
                })
            })
            .collect();
        let times = workers.into_iter().map(|worker| worker.join());
        times.map(Result::unwrap_or_default).collect::<Vec<_>>()
    });
    let together = times.iter().map(|times| times[1]).max();
    let alone = times.first().map(|times| times[0]);
    let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
    seconds(together) / seconds(alone)
}

/// How long some work takes that keeps a core's adders busy and touches no memory.
fn arithmetic() -> Duration {
    let begin = Instant::now();
    let mut sums = black_box([1_u64, 2, 3, 4, 5, 6, 7, 8]);
    for step in 0..black_box(200_000_u64) {
        for sum in &mut sums {
            *sum = sum.wrapping_add(step) ^ (*sum >> 1);
        }
    }
    black_box(sums);
    begin.elapsed()
}
