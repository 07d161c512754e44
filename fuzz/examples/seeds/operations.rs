//! Sequences of operations: each leads to a corner of the state machine that random bytes take long
//! to find. The bytes are those that `incarnation_testkit::ops` reads.

use incarnation_testkit::ops::{SETUP_BYTES, STEP_BYTES};

use super::Seeds;

type Step = [u8; STEP_BYTES];
type Setup = [u8; SETUP_BYTES];

// What a step's first byte begins to mean where; see `ops::Step::from_bytes`.
const CLAIM: u8 = 0;
const HEAR: u8 = 72;
const CONFIRM: u8 = 96;
const REJOIN: u8 = 108;
const INTRODUCE: u8 = 128;
const JUDGE: u8 = 138;
const BATCH: u8 = 148;
const REQUIRED: u8 = 156;
const REMOVE: u8 = 164;
const REMOVE_IF: u8 = 176;
const FORGET: u8 = 188;
const SWEEP: u8 = 194;
const SLICES: u8 = 214;
const GRAB: u8 = 218;
const REFUTE: u8 = 236;
const HOLD: u8 = 242;
const REPIN: u8 = 247;
const RELEASE: u8 = 251;

// Statuses, as bytes.
const UNCONFIRMED: u8 = 0;
const ALIVE: u8 = 1;
const SUSPECT: u8 = 2;
const DEAD: u8 = 3;
const LEFT: u8 = 4;
/// Added to a status: the claim is trusted.
const TRUSTED: u8 = 200;

// Ways.
const VIEW: u8 = 3;
const HANDLE: u8 = 5;

// Kinds of incarnations: as they are, a jump too far, around the highest.
const PLAIN: u8 = 0;
const FAR: u8 = 180;
const EDGE: u8 = 210;
const HUGE: u8 = 250;

// Times that pass: 24 ns, 256 ns, 2 ms.
const SOON: u8 = 163;
const LATER: u8 = 220;
const MUCH_LATER: u8 = 254;

/// Twelve nodes, room for all, deaths kept for 20 ns and remembered.
const ROOMY: Setup = [11, 11, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];

fn setup(changes: &[(usize, u8)]) -> Setup {
    let mut setup = ROOMY;
    for (place, byte) in changes {
        setup[*place] = *byte;
    }
    setup
}

/// One nanosecond later, something about a node.
fn step(kind: u8, node: u8) -> Step {
    [kind, node, 0, PLAIN, 0, 1, 0, 0]
}

fn claim(node: u8, status: u8, incarnation: u8) -> Step {
    [CLAIM, node, status, PLAIN, incarnation, 1, 0, 0]
}

fn at(kind: u8, node: u8, incarnation: u8) -> Step {
    [kind, node, 0, PLAIN, incarnation, 1, 0, 0]
}

fn after(time: u8, mut step: Step) -> Step {
    step[5] = time;
    step
}

fn through(way: u8, mut step: Step) -> Step {
    step[6] = way;
    step
}

fn of(class: u8, mut step: Step) -> Step {
    step[3] = class;
    step
}

fn with(extra: u8, mut step: Step) -> Step {
    step[7] = extra;
    step
}

/// Everything, expiry, the dead, capacity.
fn sweep(scope: u8) -> Step {
    with(scope, step(SWEEP, 0))
}

fn input(setup: Setup, steps: &[Step]) -> Vec<u8> {
    [&setup[..], steps.as_flattened()].concat()
}

pub fn seeds() -> Seeds {
    let lifetime = vec![
        step(INTRODUCE, 1),
        claim(1, SUSPECT, 0),
        at(CONFIRM, 1, 1),
        claim(1, SUSPECT, 1),
        claim(1, ALIVE, 1),
        claim(1, ALIVE, 2),
        claim(1, ALIVE, 2),
        claim(1, DEAD, 2),
        at(REJOIN, 1, 4),
        step(REQUIRED, 1),
        after(SOON, sweep(0)),
        claim(1, ALIVE, 2),
        at(REJOIN, 1, 3),
        step(REQUIRED, 1),
        at(REJOIN, 1, 7),
        claim(1, LEFT, 7),
        after(SOON, sweep(2)),
        step(INTRODUCE, 1),
        after(LATER, sweep(1)),
        step(FORGET, 1),
        claim(1, ALIVE, 0),
    ];
    let limits = vec![
        of(EDGE, claim(1, ALIVE, 0)),
        of(HUGE, claim(1, ALIVE, 0)),
        of(EDGE, claim(1, SUSPECT, 1)),
        of(EDGE, claim(1, ALIVE, 1)),
        claim(2, ALIVE, 1),
        of(FAR, claim(2, ALIVE, 2)),
        of(FAR, claim(2, ALIVE, 1)),
        of(FAR, claim(2, TRUSTED + DEAD, 9)),
        at(CONFIRM, 3, 5),
        claim(3, UNCONFIRMED, 5),
        of(FAR, at(JUDGE, 3, 9)),
        claim(0, DEAD, 3),
        at(REFUTE, 0, 3),
        of(FAR, at(REFUTE, 0, 11)),
        of(EDGE, at(REFUTE, 0, 1)),
    ];
    let mut full: Vec<_> = (0..5).map(|node| claim(node, ALIVE, 1)).collect();
    full.extend([
        claim(0, DEAD, 2),
        claim(1, LEFT, 2),
        claim(2, SUSPECT, 1),
        sweep(3),
        claim(5, UNCONFIRMED, 0),
        claim(6, ALIVE, 3),
        after(SOON, sweep(0)),
        claim(7, ALIVE, 0),
    ]);
    let handles = vec![
        claim(1, ALIVE, 4),
        step(GRAB, 1),
        through(HANDLE, claim(2, SUSPECT, 4)),
        step(REMOVE, 1),
        through(HANDLE, claim(1, DEAD, 9)),
        claim(2, ALIVE, 4),
        claim(3, ALIVE, 4),
        through(HANDLE, step(REMOVE, 2)),
        with(1, step(GRAB, 2)),
        through(HANDLE + 1, with(0, claim(0, LEFT, 5))),
        through(HANDLE + 1, with(4, step(REMOVE_IF, 2))),
        through(HANDLE + 1, step(FORGET, 2)),
        after(LATER, claim(2, ALIVE, 6)),
    ];
    let mut views = vec![step(HOLD, 0)];
    for round in 0..8 {
        let node = round % 4;
        views.push(through(VIEW, claim(node, ALIVE, round)));
        views.push(step(REMOVE, node));
    }
    views.extend([
        step(REPIN, 0),
        claim(1, ALIVE, 11),
        step(REMOVE, 1),
        step(RELEASE, 0),
        claim(1, ALIVE, 11),
        claim(2, ALIVE, 11),
    ]);
    let mut burials = Vec::new();
    for node in 0..6 {
        burials.push(claim(node, ALIVE, node));
        burials.push(claim(node, DEAD, node));
        burials.push(step(REMOVE, node));
    }
    for node in 0..6 {
        burials.push(claim(node, ALIVE, node));
        burials.push(at(REJOIN, node, node + 5));
    }
    burials.push(after(MUCH_LATER, sweep(1)));
    burials.push(claim(5, ALIVE, 5));
    let mut slices: Vec<_> = (0..8).map(|node| claim(node, node % 5, 2)).collect();
    slices.extend([
        after(LATER, with(1, step(SLICES, 0))),
        with(0, step(SLICES, 0)),
        after(LATER, with(7, step(SLICES, 0))),
        after(LATER, sweep(0)),
    ]);
    let batch = vec![
        [BATCH, 1, 2, 3, 4, 1, 0, 7],
        [BATCH, 3, 1, 0, 9, 1, 0, 3],
        [JUDGE, 3, 2, 0, 9, 1, VIEW, 0],
        with(1, [REMOVE_IF, 3, 1, 0, 9, 1, 0, 1]),
        with(4, step(REMOVE_IF, 1)),
    ];
    let heard = |node, status, incarnation| [HEAR, node, status, PLAIN, incarnation, 1, 0, 0];
    let hearsay = vec![
        heard(1, ALIVE, 5),
        heard(1, SUSPECT, 5),
        heard(2, DEAD, 1),
        at(CONFIRM, 1, 2),
        heard(1, TRUSTED + SUSPECT, 2),
        heard(1, DEAD, 3),
        after(SOON, sweep(0)),
        heard(1, ALIVE, 3),
        heard(1, LEFT, 9),
        heard(1, SUSPECT, 4),
        claim(1, ALIVE, 3),
        step(GRAB, 1),
        through(HANDLE, heard(1, ALIVE, 9)),
        at(REJOIN, 1, 8),
        of(FAR, heard(1, ALIVE, 9)),
        of(HUGE, heard(3, ALIVE, 0)),
        heard(0, DEAD, 4),
        through(VIEW, heard(4, UNCONFIRMED, 1)),
        after(LATER, sweep(1)),
        heard(4, DEAD, 1),
    ];
    // Claims far ahead of the clock of the sweep that follows.
    let mut ahead: Vec<_> = (0..6)
        .map(|node| after(LATER, claim(node, node % 5, 2)))
        .collect();
    for back in 0..4 {
        ahead.push(after(203, claim(back, DEAD, 3)));
        ahead.push(after(219, step(REMOVE, back)));
        ahead.push(after(219, sweep(back)));
        ahead.push(after(LATER, sweep(1)));
    }
    // Times that go back a little, as when threads read clocks for themselves.
    let mut back = lifetime.clone();
    for step in back.iter_mut().step_by(3) {
        step[5] = 203;
    }
    [
        ("lifetime", input(ROOMY, &lifetime)),
        (
            "lifetime-of-the-jumpy",
            input(setup(&[(11, 1), (14, 1), (13, 1)]), &lifetime),
        ),
        (
            "lifetime-where-nothing-is-remembered",
            input(setup(&[(8, 1)]), &lifetime),
        ),
        (
            "lifetime-where-tombstones-end-at-once",
            input(setup(&[(9, 1)]), &lifetime),
        ),
        ("lifetime-out-of-order", input(ROOMY, &back)),
        ("limits", input(setup(&[(4, 2), (10, 1)]), &limits)),
        (
            "limits-of-a-first-incarnation",
            input(setup(&[(12, 9)]), &limits),
        ),
        (
            "limits-of-nothing",
            input(setup(&[(4, 2), (10, 4), (11, 1)]), &limits),
        ),
        ("full", input(setup(&[(1, 2), (2, 2)]), &full)),
        (
            "full-of-the-living",
            input(setup(&[(1, 2), (2, 1), (3, 1), (4, 1)]), &full),
        ),
        ("handles", input(setup(&[(15, 1)]), &handles)),
        (
            "handles-in-a-small-table",
            input(setup(&[(1, 1), (2, 1)]), &handles),
        ),
        ("views", input(setup(&[(1, 0), (2, 1)]), &views)),
        ("views-and-equal-hashes", input(setup(&[(15, 1)]), &views)),
        ("burials", input(setup(&[(8, 5)]), &burials)),
        ("burials-one-tombstone", input(setup(&[(8, 2)]), &burials)),
        ("hearsay", input(ROOMY, &hearsay)),
        (
            "hearsay-of-the-local-node",
            input(setup(&[(4, 2), (8, 5)]), &hearsay),
        ),
        (
            "hearsay-in-a-full-table",
            input(setup(&[(1, 0), (2, 1)]), &hearsay),
        ),
        ("clocks-ahead", input(setup(&[(15, 8)]), &ahead)),
        ("clocks-a-little-ahead", input(setup(&[(15, 12)]), &ahead)),
        ("slices", input(ROOMY, &slices)),
        ("slices-at-once", input(setup(&[(6, 4), (7, 4)]), &slices)),
        ("batch", input(setup(&[(15, 2)]), &batch)),
        ("nothing", Vec::new()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}
