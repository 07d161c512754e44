//! What tests, fuzz targets and stress runs of `incarnation` share.

pub mod random;
