//! The models, one file for each promise.

mod caches;
mod capacity_signal;
mod claims;
mod data;
mod epoch;
mod evictions;
mod handles;
mod hearsay;
mod inserts;
mod limits;
mod litmus;
mod local;
mod node_waits;
mod notify;
mod recycling;
mod scans;
mod tombstones;
mod views;
mod wake_list;

use crate::Model;

/// Those that run over the portable scheme of reclamation, too: what they show hangs on the scheme. Not the one
/// that insists on when entries come back: a thread that was joined may be pinned once more while it
/// gives its registration back, and to wait for that is beyond the checker. Tests show that they do.
#[cfg(incarnation_portable)]
const OF_RECLAMATION: [&str; EXPECTED] = [
    "views::a_light_fence_against_a_heavy_one",
    "views::lookup_across_unlink_and_recycling",
    "views::a_held_view_reads_on",
    "handles::recycled_with_the_very_same_packed_state",
    "handles::outlive_the_tracker",
    "notify::a_change_against_the_first_look",
    "notify::a_mark_against_a_look",
    "notify::a_change_against_a_waiter",
    "capacity_signal::a_refusal_inside_a_view_is_swept_for",
];

/// Every model. `EXPECTED` below is what the runner insists on.
pub fn all() -> Vec<Model> {
    let files = [
        litmus::models(),
        claims::models(),
        inserts::models(),
        data::models(),
        evictions::models(),
        tombstones::models(),
        views::models(),
        recycling::models(),
        scans::models(),
        handles::models(),
        hearsay::models(),
        limits::models(),
        caches::models(),
        local::models(),
        capacity_signal::models(),
        wake_list::models(),
        notify::models(),
        node_waits::models(),
        epoch::models(),
    ];
    let all = files.into_iter().flatten();
    #[cfg(incarnation_portable)]
    let all = all.filter(|model| OF_RECLAMATION.contains(&model.name));
    all.collect()
}

/// How many models there are; fewer is a failure.
#[cfg(not(incarnation_portable))]
pub const EXPECTED: usize = 157;
/// The same over the portable scheme.
#[cfg(incarnation_portable)]
pub const EXPECTED: usize = 9;
