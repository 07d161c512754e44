//! What tests, fuzz targets and stress runs of `incarnation` share.

pub mod gate;
pub mod keys;
pub mod ledger;
pub mod race;
pub mod resident;
