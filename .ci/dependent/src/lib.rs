//! What a dependent does that once did not build.
#![deny(warnings)]

use incarnation::{IncarnationTracker, NodeHandle, Subscriber};

/// The tracker in a struct without bounds.
pub struct Members<K> {
    pub inner: IncarnationTracker<K>,
}

/// All parameters, without bounds.
pub struct Everything<K, D, S> {
    pub tracker: IncarnationTracker<K, D, S>,
    pub node: NodeHandle<K, D, S>,
    pub subscriber: Subscriber<K, D, S>,
}
