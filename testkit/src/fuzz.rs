//! The bodies of the fuzz targets, so that the inputs they found can be replayed by an ordinary test.
//!
//! Each takes any bytes and panics only if the code under test is wrong. What they do not depend on
//! is features of the crate: a decoder behind one is handed in. The body for datagrams is the
//! protocol's own, `incarnation_swim::fuzz::datagram`.

use std::path::Path;
use std::time::Duration;

use incarnation::{
    Claim, Digest, Incarnation, IncarnationTracker, Record, Snapshot, Status, Timestamp,
};

use crate::ops::{SETUP_BYTES, STEP_BYTES, Setup, Step};
use crate::{lockstep, replay, trace};

/// More steps than this make an input slow, not deep.
const MAX_STEPS: usize = 512;
/// More cases than this, or larger tables, do the same.
const MAX_CASES: usize = 4;
const MAX_NODES: usize = 4096;

/// The setup and the steps that some bytes stand for; too few bytes are filled up with zeroes.
pub fn decode(bytes: &[u8]) -> (Setup, Vec<Step>) {
    let mut first = [0; SETUP_BYTES];
    let (head, rest) = bytes.split_at(bytes.len().min(SETUP_BYTES));
    first[..head.len()].copy_from_slice(head);
    let setup = Setup::from_bytes(&first);
    let steps = rest
        .as_chunks::<STEP_BYTES>()
        .0
        .iter()
        .take(MAX_STEPS)
        .map(|bytes| Step::from_bytes(bytes, &setup))
        .collect();
    (setup, steps)
}

/// Any sequence of operations: the tracker does what the model does.
///
/// # Panics
///
/// If it does not.
pub fn operations(bytes: &[u8]) {
    let (setup, steps) = decode(bytes);
    if let Err(difference) = lockstep::run(&setup, &steps) {
        panic!("{difference}\n{setup:#?}\n{steps:#?}");
    }
}

/// Any bytes: the reader of traces answers, and what it refuses it refuses with the line; what it
/// reads can be replayed, whatever it asks of a tracker.
///
/// # Panics
///
/// If an error names a line that is not there.
pub fn traces(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    match trace::parse(bytes, Path::new("fuzz")) {
        Ok(cases) => {
            assert!((1..=lines).contains(&cases.len()));
            let small = cases
                .iter()
                .filter(|case| case.config.max_nodes <= MAX_NODES);
            for case in small.take(MAX_CASES) {
                // What was recorded is whatever the bytes say: neither a difference nor
                // contradictory limits are faults here.
                let _ = replay::replay(case);
            }
        }
        Err(trace::TraceError::Malformed { line, .. }) => assert!((1..=lines).contains(&line)),
        Err(_) => {}
    }
}

/// Any bytes, and the same bytes with a checksum that fits: the decoder of the durable incarnation's
/// file takes exactly what a mark looks like, laid out here a second time. It returns `None` for what
/// it refuses.
///
/// # Panics
///
/// If it takes something else, or refuses a mark.
pub fn durable(bytes: &[u8], decode: impl Fn(&[u8]) -> Option<Incarnation>) {
    let check = |bytes: &[u8]| assert_eq!(decode(bytes), mark_of(bytes), "{bytes:02x?}");
    check(bytes);
    if let Some((covered, _)) = bytes.split_last_chunk::<4>() {
        check(&with_checksum(covered));
    }
    let mut payload = [0; 8];
    for (to, from) in payload.iter_mut().zip(bytes) {
        *to = *from;
    }
    check(&file_of(u64::from_le_bytes(payload)));
}

/// The file that remembers a mark: magic, content 1 of version 1, length 8, mark, CRC-32.
pub fn file_of(mark: u64) -> Vec<u8> {
    let mut file = b"\x89INC\r\n\x1a\n\x01\0\x01\0\x08\0\0\0\0\0\0\0".to_vec();
    file.extend(mark.to_le_bytes());
    with_checksum(&file)
}

fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crc32fast::hash(bytes).to_le_bytes()].concat()
}

/// The mark of which these bytes are the file.
fn mark_of(bytes: &[u8]) -> Option<Incarnation> {
    let mark = u64::from_le_bytes(*bytes.get(20..)?.first_chunk()?);
    let is_whole = mark <= Incarnation::MAX.get() && bytes == file_of(mark);
    is_whole.then(|| Incarnation::new(mark))
}

/// Snapshots of nodes with short names, as the target for them reads and writes them.
pub type SmallSnapshot = Snapshot<u16>;

/// Any bytes as a saved snapshot, and the same bytes as the payload of one: what is read keeps the rules
/// that every snapshot keeps, from any writer; it can be written and read again; merging it is idempotent, and
/// after the merge a tracker lacks nothing of it but what was refused.
///
/// # Panics
///
/// If one of these is not so.
pub fn snapshot(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<SmallSnapshot>,
    encode: impl Fn(&SmallSnapshot) -> Vec<u8>,
) {
    for bytes in [bytes.to_vec(), snapshot_file(bytes)] {
        serialized_snapshot(&bytes, &decode, &encode);
    }
}

/// The same in any one format.
///
/// # Panics
///
/// As for [`snapshot`].
pub fn serialized_snapshot(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<SmallSnapshot>,
    encode: impl Fn(&SmallSnapshot) -> Vec<u8>,
) {
    if let Some(read) = decode(bytes) {
        let nodes = read.nodes();
        let tombstones = read.tombstones();
        assert!(nodes.is_sorted_by(|a, b| a.node() < b.node()));
        assert!(tombstones.is_sorted_by(|a, b| a.node() < b.node()));
        for tombstone in tombstones {
            assert!(tombstone.status().is_gone());
            if let Some(row) = read.node(tombstone.node()) {
                let order = |incarnation: Incarnation, rank: u8| (incarnation, rank);
                let tombstone = order(tombstone.incarnation(), tombstone.status().rank());
                assert!(order(row.incarnation(), row.status().rank()) < tombstone);
            }
        }
        assert_eq!(decode(&encode(&read)).as_ref(), Some(&read));
        check_merge(&read);
    }
}

/// Digests of nodes with short names, as the target for them reads and writes them.
pub type SmallDigest = Digest<u16>;

/// Any bytes as a peer's digest: what is read can be written and read again; the answer to it holds nothing but what is
/// known here, leaves out no more than the digest speaks of, and is the same from a tracker as from its snapshot.
///
/// # Panics
///
/// If one of these is not so.
pub fn digest(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Option<SmallDigest>,
    encode: impl Fn(&SmallDigest) -> Vec<u8>,
) {
    let Some(theirs) = decode(bytes) else { return };
    assert_eq!(decode(&encode(&theirs)).as_ref(), Some(&theirs));
    assert_eq!(theirs.is_empty(), theirs == SmallDigest::default());

    let now = Timestamp::from_millis(1_000_000);
    let tracker = well_known(now);
    let whole = tracker.snapshot(now);
    let delta = tracker.delta(&theirs, now);
    assert_eq!(whole.delta(&theirs), delta);
    let known = |rows: &[Record<u16>], row: &Record<u16>| rows.contains(row);
    assert!(delta.nodes().iter().all(|row| known(whole.nodes(), row)));
    assert!(
        delta
            .tombstones()
            .iter()
            .all(|row| known(whole.tombstones(), row))
    );
    // Each row of theirs is about one node, which has a row and a tombstone here at most.
    let rows = |snapshot: &SmallSnapshot| snapshot.nodes().len() + snapshot.tombstones().len();
    assert!(rows(&whole) - rows(&delta) <= 2 * theirs.len());
}

/// A tracker that knows a node of each status, tombstones, and a node beside its tombstone.
fn well_known(now: Timestamp) -> IncarnationTracker<u16> {
    let tracker = small_tracker();
    for (node, status) in (0..).zip(Status::ALL) {
        let claim = Claim::new(status, Incarnation::new(3)).trusted();
        let _ = tracker.update(&node, claim, now);
    }
    for node in 16..20 {
        let _ = tracker.update(&node, Claim::dead(u64::from(node)).trusted(), now);
        let _ = tracker.remove(&node, now);
    }
    let _ = tracker.add_unconfirmed(&16, now);
    tracker
}

fn small_tracker() -> IncarnationTracker<u16> {
    IncarnationTracker::builder()
        .max_nodes(64)
        .tombstone_retention(Duration::from_secs(900))
        .build()
        .expect("these limits agree")
}

fn check_merge(snapshot: &SmallSnapshot) {
    let now = Timestamp::from_millis(1_000_000);
    let tracker = small_tracker();
    let rows = snapshot.nodes().len() + snapshot.tombstones().len();
    let report = tracker.merge(snapshot, now);
    let unasked = report.unchanged + report.skipped;
    let refused = usize::try_from(report.rejections.total()).expect("a number of rows");
    assert_eq!(
        report.joined + report.applied + report.tombstones_written + unasked + refused,
        rows
    );
    assert!(tracker.len() <= 128, "the hard limit is twice the other");
    let once = tracker.snapshot(now);
    // A table with too many tombstones forgets the oldest, and then has something to learn again.
    if snapshot.tombstones().len() <= 64 {
        let again = tracker.merge(snapshot, now);
        assert!(!again.is_change(), "{again:?}");
        assert_eq!(tracker.snapshot(now), once);
    }
    assert!(tracker.delta(&once.digest(), now).is_empty());
}

/// The file of a snapshot with this payload: magic, content 2 of version 1, length, payload, CRC-32.
pub fn snapshot_file(payload: &[u8]) -> Vec<u8> {
    let mut file = b"\x89INC\r\n\x1a\n\x02\0\x01\0".to_vec();
    file.extend((payload.len() as u64).to_le_bytes());
    file.extend(payload);
    with_checksum(&file)
}
