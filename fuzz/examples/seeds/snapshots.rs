//! Saved snapshots, and payloads of them, whole and broken.

use std::error::Error;
use std::time::Duration;

use incarnation::{Claim, Record, Snapshot};
use incarnation_testkit::fuzz::snapshot_file;

use super::Seeds;

const SECOND: Duration = Duration::from_secs(1);

pub fn rows(rows: &[(u16, Claim)]) -> Vec<Record<u16>> {
    rows.iter()
        .filter_map(|(node, claim)| Record::new(*node, *claim, SECOND * u32::from(*node)))
        .collect()
}

pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let file = |nodes: &[_], tombstones: &[_]| -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(Snapshot::new(rows(nodes), rows(tombstones))?.encode()?)
    };
    let everything = [
        (1, Claim::unconfirmed(0)),
        (2, Claim::alive(1 << 40)),
        (3, Claim::suspect(7)),
        (4, Claim::dead(8)),
        (5, Claim::left(9)),
    ];
    let whole = file(&everything, &[(6, Claim::dead(4)), (7, Claim::left(5))])?;
    let payload = |whole: &[u8]| whole[20..whole.len() - 4].to_vec();
    let many: Vec<_> = (0..200).map(|node| (node, Claim::alive(1))).collect();
    let deaths: Vec<_> = (0..100).map(|node| (node, Claim::dead(2))).collect();
    let changed = |place: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[place] = to;
        bytes
    };
    let row_twice = {
        let one = payload(&file(&[(1, Claim::alive(1))], &[])?);
        // The first byte counts the nodes, the last the tombstones.
        [&[2], &one[1..one.len() - 1], &one[1..]].concat()
    };
    let tombstone_of_the_living = {
        let one = payload(&file(&[(1, Claim::alive(1))], &[])?);
        [&[0, 1], &one[1..one.len() - 1]].concat()
    };
    Ok([
        ("whole", whole.clone()),
        ("payload", payload(&whole)),
        ("nothing", file(&[], &[])?),
        (
            "over-its-tombstone",
            file(&[(1, Claim::unconfirmed(4))], &[(1, Claim::dead(4))])?,
        ),
        (
            "above-its-tombstone",
            file(&[(1, Claim::alive(5))], &[(1, Claim::dead(4))])?,
        ),
        ("more-than-fit", file(&many, &[])?),
        ("more-tombstones-than-fit", file(&[], &deaths)?),
        ("row-twice", row_twice),
        ("tombstone-of-the-living", tombstone_of_the_living),
        (
            "more-than-there-are",
            snapshot_file(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ),
        (
            "text.json",
            serde_json::to_vec(&Snapshot::new(
                rows(&everything),
                rows(&[(6, Claim::dead(4))]),
            )?)?,
        ),
        ("empty", Vec::new()),
        ("truncated", whole[..whole.len() - 5].to_vec()),
        ("longer", [&whole[..], b"\n"].concat()),
        ("foreign", changed(0, b'X')),
        ("other-content", changed(8, 1)),
        ("newer", changed(10, 2)),
        ("damaged", changed(24, 0)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into())
}
