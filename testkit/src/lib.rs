//! What tests, fuzz targets and stress runs of `incarnation` share.

pub mod keys;
pub mod ledger;
pub mod random;
pub mod replay;
pub mod resident;
pub mod trace;
