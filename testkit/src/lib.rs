//! What tests, fuzz targets and stress runs of `incarnation` share.
#![forbid(unsafe_code)]

pub mod random;
pub mod replay;
pub mod trace;
