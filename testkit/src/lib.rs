//! What tests, fuzz targets and stress runs of `incarnation` share.
