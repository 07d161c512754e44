//! The type of the keys is left open.
//~ type annotations needed for `IncarnationTracker<_>`
//~ help: consider giving `tracker` an explicit type, where the type for type parameter `K` is specified
//~ impl ToKey<String> for str
//!~ size for values of type
use incarnation::{Claim, IncarnationTracker, Timestamp};

fn main() {
    let tracker = IncarnationTracker::builder().build().unwrap();
    let _ = tracker.update("db-1", Claim::alive(1), Timestamp::ZERO);
}
