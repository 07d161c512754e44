//! Lookups take anything that is equivalent to a key: a `String` is found by `&str`, a compound key
//! by its borrowed parts.

use std::cell::Cell;
use std::hash::{Hash, Hasher};

use incarnation::{Claim, IncarnationTracker, Status, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;

#[test]
fn a_tracker_of_strings_is_read_with_str() {
    let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build().unwrap();
    let _ = tracker.update(&"a:1".to_string(), Claim::alive(3), NOW);
    let name: &str = &String::from("a:1");

    assert_eq!(tracker.get(name).map(|s| s.status), Some(Status::Alive));
    assert!(tracker.is_confirmed(name) && tracker.can_suspect(name));
    assert!(tracker.handle(name).is_some());
    assert_eq!(
        tracker.pin().get(name).map(|s| s.incarnation.get()),
        Some(3)
    );
    assert_eq!(tracker.get("b:1"), None);
    assert!(tracker.remove_if("b:1", Claim::alive(3), NOW).is_err());
    assert!(tracker.remove(name, NOW).is_some());
}

/// A node of a cluster.
#[derive(Clone, PartialEq, Eq)]
struct Node {
    cluster: String,
    number: u64,
}

/// The same, borrowed.
struct NodeRef<'a> {
    cluster: &'a str,
    number: u64,
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.cluster.as_str(), self.number).hash(state);
    }
}

impl Hash for NodeRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.cluster, self.number).hash(state);
    }
}

impl equivalent::Equivalent<Node> for NodeRef<'_> {
    fn equivalent(&self, key: &Node) -> bool {
        self.cluster == key.cluster && self.number == key.number
    }
}

#[test]
fn a_compound_key_is_found_by_its_parts() {
    let tracker: IncarnationTracker<Node> = IncarnationTracker::builder().build().unwrap();
    for number in 0..100 {
        let cluster = "east".to_string();
        let _ = tracker.update(&Node { cluster, number }, Claim::alive(number), NOW);
    }
    for number in 0..100 {
        let cluster = "east";
        let state = tracker.get(&NodeRef { cluster, number }).unwrap();
        assert_eq!(state.incarnation.get(), number);
        assert_eq!(
            tracker.get(&NodeRef {
                cluster: "west",
                number
            }),
            None
        );
    }
}

/// A node's number, which hashes as the number does.
#[derive(Hash)]
struct Numbered(u64);

impl equivalent::Equivalent<u64> for Numbered {
    fn equivalent(&self, key: &u64) -> bool {
        self.0 == *key
    }
}

#[test]
fn a_number_key_is_found_by_any_equivalent_type_that_hashes_alike() {
    // Hashers may have ways of their own for integers; a key's type must not decide its hash.
    let tracker: IncarnationTracker<u64> =
        IncarnationTracker::builder().local_node(7).build().unwrap();
    for number in 10..100 {
        let _ = tracker.update(&number, Claim::alive(number), NOW);
    }
    for number in 10..100 {
        let state = tracker.get(&Numbered(number)).unwrap();
        assert_eq!(state.incarnation.get(), number);
    }
    assert_eq!(tracker.get(&Numbered(100)), None);
}

thread_local! {
    static COMPARED: Cell<usize> = const { Cell::new(0) };
}

/// A number that counts its comparisons.
#[allow(clippy::derived_hash_with_manual_eq, reason = "equal ones hash alike")]
#[derive(Clone, Hash)]
struct Compared(u64);

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        COMPARED.set(COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Eq for Compared {}

#[test]
fn a_lookup_calls_eq_for_almost_no_other_key() {
    const NODES: u64 = 2000;
    let tracker: IncarnationTracker<Compared> = IncarnationTracker::builder().build().unwrap();
    for number in 0..NODES {
        let _ = tracker.update(&Compared(number), Claim::alive(1), NOW);
    }
    COMPARED.set(0);
    for number in 0..NODES {
        assert!(tracker.get(&Compared(number)).is_some());
        assert!(tracker.get(&Compared(number + NODES)).is_none());
    }
    // Keys of equal hashes are compared: at 32 bits, hardly a pair of these.
    let compared = COMPARED.get() as u64;
    assert!((NODES..NODES + 10).contains(&compared), "{compared}");
}
