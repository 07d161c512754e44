//! Digests, whole and broken, for machines (postcard) and for people (JSON).

use std::error::Error;

use incarnation::{Claim, Digest, Snapshot};

use super::Seeds;
use super::snapshots::rows;

pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let digest = |nodes: &[_], tombstones: &[_]| -> Result<Digest<u16>, Box<dyn Error>> {
        Ok(Snapshot::new(rows(nodes), rows(tombstones))?.digest())
    };
    let some = digest(
        &[
            (1, Claim::unconfirmed(0)),
            (2, Claim::alive(1 << 40)),
            (3, Claim::suspect(7)),
            (16, Claim::unconfirmed(4)),
        ],
        &[(16, Claim::dead(16)), (17, Claim::left(5))],
    )?;
    let many: Vec<_> = (0..200).map(|node| (node, Claim::alive(1))).collect();
    let many = digest(&many, &[])?;
    let nothing = Digest::default();

    let mut seeds = Seeds::new();
    for (name, digest) in [("some", &some), ("many", &many), ("nothing", &nothing)] {
        seeds.push((name.to_owned(), postcard::to_allocvec(digest)?));
        seeds.push((format!("{name}.json"), serde_json::to_vec(digest)?));
    }
    let whole = postcard::to_allocvec(&some)?;
    let text = serde_json::to_string(&some)?;
    // The first byte counts the rows.
    let row_twice = [&[2], &whole[1..6], &whole[1..6]].concat();
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("truncated", whole[..whole.len() - 1].to_vec()),
        ("row-twice", row_twice),
        ("more-than-there-are", vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("no-status.json", text.replace("suspect", "sick").into()),
        (
            "tombstone-of-the-living.json",
            text.replace("left", "alive").into(),
        ),
        (
            "too-high.json",
            text.replace(":7", ":18446744073709551615").into(),
        ),
    ] {
        seeds.push((name.to_owned(), bytes));
    }
    Ok(seeds)
}
