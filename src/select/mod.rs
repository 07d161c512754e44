//! Choosing nodes: random samples, and the order in which a failure detector probes.

mod probe_order;
mod sample;

pub use probe_order::ProbeOrder;
