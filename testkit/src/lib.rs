//! What tests, fuzz targets and stress runs of `incarnation` share.

pub mod colliding_hasher;
pub mod fuzz;
pub mod history;
pub mod keys;
pub mod lockstep;
pub mod model;
pub mod ops;
pub mod replay;
pub mod resident;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod start_together;
pub mod sync_point;
pub mod trace;
pub mod transition_log;
