//! What tests, fuzz targets and stress runs of `incarnation` share.
#![forbid(unsafe_code)]

pub mod fuzz;
pub mod history;
pub mod lockstep;
pub mod model;
pub mod narrow;
pub mod ops;
pub mod random;
pub mod replay;
pub mod trace;
