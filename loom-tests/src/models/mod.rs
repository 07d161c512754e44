//! The models, one file a promise.

mod bell;
mod claims;
mod evictions;
mod graves;
mod handles;
mod inserts;
mod limits;
mod litmus;
mod local;
mod notify;
mod recycling;
mod scans;
mod views;

use crate::Model;

/// Every model. `EXPECTED` below is what the runner insists on.
pub fn all() -> Vec<Model> {
    let files = [
        litmus::models(),
        claims::models(),
        inserts::models(),
        evictions::models(),
        graves::models(),
        views::models(),
        recycling::models(),
        scans::models(),
        handles::models(),
        limits::models(),
        local::models(),
        bell::models(),
        notify::models()
            .into_iter()
            .map(crate::Model::telling)
            .collect(),
    ];
    files.into_iter().flatten().collect()
}

/// How many models there are; fewer is a failure.
pub const EXPECTED: usize = 62;
