//! The checker itself: which outcomes it sees of the smallest programs.
//!
//! With shadows it must see every outcome of a load against a load-then-exchange. The pair of fences must order what
//! C++'s proposal P1202 says, and nothing else. If one of these fails, the green of the other models proves nothing.

use incarnation::model::atomic::{AtomicU64, Ordering, fence};

use crate::{Model, Shared};

/// What stands between the two accesses of a thread.
const NONE: u8 = 0;
const LIGHT: u8 = 1;
const HEAVY: u8 = 2;
const REAL: u8 = 3;

fn between<const F: u8>(shared: &Shared) {
    match F {
        LIGHT => shared.fences.light(),
        HEAVY => assert!(shared.fences.heavy()),
        REAL => fence(Ordering::SeqCst),
        _ => {}
    }
}

/// Store buffering: writes one location, reads the other.
fn write_then_read<const F: u8>(
    shared: &Shared,
    mine: &AtomicU64,
    other: &AtomicU64,
    digit: usize,
) {
    mine.store(1, Ordering::Relaxed);
    between::<F>(shared);
    shared.read(digit, other.load(Ordering::Relaxed));
}

fn first<const F: u8>(shared: &Shared) {
    write_then_read::<F>(shared, &shared.x, &shared.y, 0);
}

fn second<const F: u8>(shared: &Shared) {
    write_then_read::<F>(shared, &shared.y, &shared.x, 1);
}

/// The same in a ring of three: each reads what the next one writes.
fn second_of_three<const F: u8>(shared: &Shared) {
    write_then_read::<F>(shared, &shared.y, &shared.z, 1);
}

fn third_of_three<const F: u8>(shared: &Shared) {
    write_then_read::<F>(shared, &shared.z, &shared.x, 2);
}

/// Message passing: writes a message, then a flag.
fn send<const F: u8>(shared: &Shared) {
    shared.x.store(1, Ordering::Relaxed);
    between::<F>(shared);
    shared.y.store(1, Ordering::Relaxed);
}

/// Reads the flag, then the message.
fn receive<const F: u8>(shared: &Shared) {
    shared.read(0, shared.y.load(Ordering::Relaxed));
    between::<F>(shared);
    shared.read(1, shared.x.load(Ordering::Relaxed));
}

const ALL: &[&str] = &["00", "01", "10", "11"];
const NOT_BOTH_MISSED: &[&str] = &["01", "10", "11"];
const NO_FLAG_WITHOUT_MESSAGE: &[&str] = &["00", "01", "11"];
const ALL_OF_THREE: &[&str] = &["000", "001", "010", "011", "100", "101", "110", "111"];
const NOT_ALL_MISSED: &[&str] = &["001", "010", "011", "100", "101", "110", "111"];

pub fn models() -> Vec<Model> {
    vec![
        Model::litmus(
            "litmus::load_then_exchange_is_explored",
            "a = x; b = y beside: load x, exchange x, raise y",
            &[
                |shared| {
                    shared.read(0, shared.x.load(Ordering::Relaxed));
                    shared.read(1, shared.y.load(Ordering::Relaxed));
                },
                |shared| {
                    // The load in front of the exchange is what hides the reader from the checker.
                    shared.x.load(Ordering::Acquire);
                    let _ = shared
                        .x
                        .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
                    shared.y.fetch_max(1, Ordering::AcqRel);
                },
            ],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::store_buffering_light_light",
            "store buffering, light beside light",
            &[first::<LIGHT>, second::<LIGHT>],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::store_buffering_light_heavy",
            "store buffering, light beside heavy",
            &[first::<LIGHT>, second::<HEAVY>],
            NOT_BOTH_MISSED,
            &["00"],
        ),
        Model::litmus(
            "litmus::store_buffering_heavy_heavy",
            "store buffering, heavy beside heavy",
            &[first::<HEAVY>, second::<HEAVY>],
            NOT_BOTH_MISSED,
            &["00"],
        ),
        Model::litmus(
            "litmus::store_buffering_none_heavy",
            "store buffering, no fence beside heavy",
            &[first::<NONE>, second::<HEAVY>],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::store_buffering_real_real",
            "store buffering, real beside real",
            &[first::<REAL>, second::<REAL>],
            NOT_BOTH_MISSED,
            &["00"],
        ),
        Model::litmus(
            "litmus::store_buffering_light_real",
            "store buffering, light beside real",
            &[first::<LIGHT>, second::<REAL>],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::message_passing_light_light",
            "message passing, light beside light",
            &[send::<LIGHT>, receive::<LIGHT>],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::message_passing_light_heavy",
            "message passing, light beside heavy",
            &[send::<LIGHT>, receive::<HEAVY>],
            NO_FLAG_WITHOUT_MESSAGE,
            &["10"],
        ),
        Model::litmus(
            "litmus::message_passing_heavy_light",
            "message passing, heavy beside light",
            &[send::<HEAVY>, receive::<LIGHT>],
            NO_FLAG_WITHOUT_MESSAGE,
            &["10"],
        ),
        Model::litmus(
            "litmus::message_passing_heavy_heavy",
            "message passing, heavy beside heavy",
            &[send::<HEAVY>, receive::<HEAVY>],
            NO_FLAG_WITHOUT_MESSAGE,
            &["10"],
        ),
        Model::litmus(
            "litmus::message_passing_none_heavy",
            "message passing, no fence beside heavy",
            &[send::<NONE>, receive::<HEAVY>],
            ALL,
            &[],
        ),
        Model::litmus(
            "litmus::a_ring_of_three_light",
            "a ring of three, all light",
            &[
                first::<LIGHT>,
                second_of_three::<LIGHT>,
                third_of_three::<LIGHT>,
            ],
            ALL_OF_THREE,
            &[],
        )
        .without_shadows(),
        // One heavy fence passes nothing on from one light fence to another.
        Model::litmus(
            "litmus::a_ring_of_three_with_one_heavy",
            "a ring of three, the first one heavy",
            &[
                first::<HEAVY>,
                second_of_three::<LIGHT>,
                third_of_three::<LIGHT>,
            ],
            ALL_OF_THREE,
            &[],
        )
        .without_shadows(),
        Model::litmus(
            "litmus::a_ring_of_three_with_two_heavy",
            "a ring of three, all but the last one heavy",
            &[
                first::<HEAVY>,
                second_of_three::<HEAVY>,
                third_of_three::<LIGHT>,
            ],
            NOT_ALL_MISSED,
            &["000"],
        )
        .without_shadows(),
    ]
}
