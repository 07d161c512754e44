//! What tests, fuzz targets and stress runs of `incarnation` share.

pub mod fuzz;
pub mod gate;
pub mod history;
pub mod keys;
pub mod ledger;
pub mod lockstep;
pub mod model;
pub mod narrow;
pub mod ops;
pub mod race;
pub mod replay;
pub mod resident;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod trace;
