//! A name where the keys are socket addresses.
//~ `str` is no key of a tracker whose keys are
//~ or a reference to what is equivalent to a key and becomes one
//~ name the key's type where the tracker is made: `IncarnationTracker::<String>::builder()`
use incarnation::{Claim, IncarnationTracker, Timestamp};

fn main() {
    let tracker: IncarnationTracker = IncarnationTracker::builder().build().unwrap();
    let _ = tracker.update("db-1", Claim::alive(1), Timestamp::ZERO);
}
