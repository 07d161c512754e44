//! The machine under the benchmarks: which core a thread runs on, and whether others took it away.

use std::sync::OnceLock;

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
