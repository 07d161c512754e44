//! The bodies of the fuzz targets, so that the inputs they found can be replayed by an ordinary test.
//!
//! Each takes any bytes and panics only if the code under test is wrong.

use std::path::Path;

use crate::ops::{SETUP_BYTES, STEP_BYTES, Setup, Step};
use crate::{lockstep, trace};

/// More steps than this make an input slow, not deep.
const MAX_STEPS: usize = 512;

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

/// Any bytes: the reader of traces answers, and what it refuses it refuses with the line.
///
/// # Panics
///
/// If an error names a line that is not there.
pub fn traces(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    match trace::parse(bytes, Path::new("fuzz")) {
        Ok(cases) => assert!((1..=lines).contains(&cases.len())),
        Err(trace::TraceError::Malformed { line, .. }) => assert!((1..=lines).contains(&line)),
        Err(_) => {}
    }
}
