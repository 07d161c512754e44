//! The pattern that reclamation stands on, by itself: right once, and with each mistake that can be made in it.
//!
//! A reader announces the epoch, lights a fence, and reads what is linked. A remover unlinks, draws a ticket, runs a
//! heavy fence and scans the reader's record; if no pin is as old as the ticket, it uses the memory again. The
//! checker must accept the right one and report each of the others.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use incarnation::model::Asymmetric;
use incarnation::model::atomic::AtomicU64;
use loom::cell::UnsafeCell;

use crate::{Bounds, Model};

const IDLE: u64 = u64::MAX;

struct World {
    epoch: AtomicU64,
    record: AtomicU64,
    linked: AtomicU64,
    memory: UnsafeCell<u64>,
    fences: Asymmetric,
}

fn world() -> World {
    World {
        epoch: AtomicU64::new(1),
        record: AtomicU64::new(IDLE),
        linked: AtomicU64::new(1),
        memory: UnsafeCell::new(0),
        fences: Asymmetric::new(),
    }
}

const RIGHT: u8 = 0;
const NO_HEAVY: u8 = 1;
const LIGHT_FOR_HEAVY: u8 = 2;
const NO_LIGHT: u8 = 3;
const PIN_LOADS_RELAXED: u8 = 4;
const UNPIN_RELAXED: u8 = 5;
const SCAN_RELAXED: u8 = 6;
const SECOND_PIN_STORES_RELAXED: u8 = 7;
const TICKET_WITHOUT_RELEASE: u8 = 8;
const HEAVY_BEFORE_UNLINKING: u8 = 9;
const HEAVY_AFTER_THE_SCAN: u8 = 10;

fn reader<const MISTAKE: u8>(w: &World) {
    for turn in 0..2 {
        let is = |mistake| MISTAKE == mistake;
        let epoch = w.epoch.load(if is(PIN_LOADS_RELAXED) {
            Relaxed
        } else {
            Acquire
        });
        let relaxed = turn == 1 && is(SECOND_PIN_STORES_RELAXED);
        w.record
            .store(epoch, if relaxed { Relaxed } else { Release });
        if !is(NO_LIGHT) {
            w.fences.light();
        }
        if w.linked.load(Acquire) == 1 {
            // SAFETY: linked when this thread was pinned, so not used again: the claim that the checker tests.
            w.memory
                .with(|memory| unsafe { std::hint::black_box(*memory) });
        }
        w.record
            .store(IDLE, if is(UNPIN_RELAXED) { Relaxed } else { Release });
    }
}

fn remover<const MISTAKE: u8>(w: &World) {
    let is = |mistake| MISTAKE == mistake;
    let heavy = || {
        if is(LIGHT_FOR_HEAVY) {
            w.fences.light();
        } else if !is(NO_HEAVY) {
            assert!(w.fences.heavy());
        }
    };
    if is(HEAVY_BEFORE_UNLINKING) {
        heavy();
    }
    w.linked.store(0, Release);
    let ticket = w.epoch.fetch_add(
        1,
        if is(TICKET_WITHOUT_RELEASE) {
            Acquire
        } else {
            AcqRel
        },
    );
    if !is(HEAVY_BEFORE_UNLINKING) && !is(HEAVY_AFTER_THE_SCAN) {
        heavy();
    }
    let oldest = w
        .record
        .load(if is(SCAN_RELAXED) { Relaxed } else { Acquire });
    if is(HEAVY_AFTER_THE_SCAN) {
        heavy();
    }
    if oldest > ticket {
        // SAFETY: no reader has it any more: the claim that the checker tests.
        w.memory.with_mut(|memory| unsafe { *memory = 1 });
    }
}

const BOUNDS: Bounds = Bounds::new(
    3,
    3,
    "the reader is cut between announcing and reading, the remover between unlinking, ticket and scan",
);

fn model<const MISTAKE: u8>(name: &'static str) -> Model {
    let model = Model::new(
        name,
        BOUNDS,
        world,
        &[reader::<MISTAKE>, remover::<MISTAKE>],
        |_| {},
    );
    if MISTAKE == RIGHT {
        model
    } else {
        model.failing()
    }
}

pub fn models() -> Vec<Model> {
    vec![
        model::<RIGHT>("epoch::the_pattern"),
        model::<NO_HEAVY>("epoch::no_heavy_fence"),
        model::<LIGHT_FOR_HEAVY>("epoch::a_light_fence_for_the_heavy_one"),
        model::<NO_LIGHT>("epoch::no_light_fence"),
        model::<PIN_LOADS_RELAXED>("epoch::the_pin_loads_relaxed"),
        model::<UNPIN_RELAXED>("epoch::the_unpin_stores_relaxed"),
        model::<SCAN_RELAXED>("epoch::the_scan_loads_relaxed"),
        model::<SECOND_PIN_STORES_RELAXED>("epoch::the_second_pin_stores_relaxed"),
        model::<TICKET_WITHOUT_RELEASE>("epoch::the_ticket_releases_nothing"),
        model::<HEAVY_BEFORE_UNLINKING>("epoch::the_heavy_fence_before_unlinking"),
        model::<HEAVY_AFTER_THE_SCAN>("epoch::the_heavy_fence_after_the_scan"),
    ]
}
