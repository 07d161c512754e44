//! Choosing nodes: one at random, random samples, and the order in which a failure detector probes.

mod pick;
mod probe_order;
mod sample;

pub use probe_order::ProbeOrder;
