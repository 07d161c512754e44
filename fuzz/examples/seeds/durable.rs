//! Files of the durable incarnation, whole and broken.

use incarnation::Incarnation;
use incarnation_testkit::fuzz::file_of;

use super::Seeds;

pub fn seeds() -> Seeds {
    let whole = file_of(0x0123_4567_89ab_cdef);
    let changed = |place: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[place] = to;
        bytes
    };
    [
        ("whole", whole.clone()),
        ("first", file_of(0)),
        ("highest", file_of(Incarnation::MAX.get())),
        ("out-of-range", file_of(u64::MAX)),
        ("empty", Vec::new()),
        ("truncated", whole[..whole.len() - 5].to_vec()),
        ("longer", [&whole[..], b"\n"].concat()),
        ("foreign", changed(0, b'X')),
        ("other-content", changed(8, 2)),
        ("newer", changed(10, 2)),
        ("longer-than-memory", changed(19, 0xff)),
        ("damaged", changed(24, 0)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}
