//! Writes take what is equivalent to a key and becomes one, and make a key only for a node that joins.

use std::borrow::Borrow;
use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use incarnation::{Claim, IncarnationTracker, Timestamp, ToKey, Verdict};

const NOW: Timestamp = Timestamp::ZERO;

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name(String);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

/// Stands for a name, and says when it becomes one.
#[derive(Hash, PartialEq, Eq)]
struct NameRef<'a>(&'a str);

impl equivalent::Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, key: &Name) -> bool {
        self.0 == key.0
    }
}

impl ToKey<Name> for NameRef<'_> {
    fn to_key(&self) -> Name {
        MADE.set(MADE.get() + 1);
        Name(self.0.to_owned())
    }
}

#[test]
fn every_write_takes_a_str_for_a_string() {
    let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build().unwrap();
    assert_eq!(tracker.hear("a", Claim::alive(1), NOW), Verdict::Joined);
    assert!(tracker.confirm("a", 1, NOW).accepted());
    assert!(tracker.update("a", Claim::dead(1), NOW).accepted());
    assert!(tracker.rejoin("a", 9, NOW).accepted());
    assert_eq!(tracker.add_unconfirmed("b", NOW), Verdict::Joined);
    assert_eq!(tracker.judge("c", Claim::alive(1), NOW), Verdict::Joined);
    assert_eq!(
        tracker.required_incarnation("c", NOW).map(|one| one.get()),
        Some(0)
    );
    assert!(tracker.remove("a", NOW).is_some());
    assert!(tracker.forget("a").is_none() && tracker.forget("b").is_some());
    assert_eq!(tracker.len(), 0);
}

#[test]
fn a_key_is_made_only_for_a_node_that_joins() {
    let tracker: IncarnationTracker<Name> = IncarnationTracker::builder().build().unwrap();
    for incarnation in 1..100 {
        let _ = tracker.update(&NameRef("a"), Claim::alive(incarnation), NOW);
    }
    assert_eq!(MADE.get(), 1);
    // Its tombstone is found without a key.
    let _ = tracker.update(&NameRef("a"), Claim::dead(99), NOW);
    tracker.remove(&NameRef("a"), NOW);
    for _ in 0..100 {
        let _ = tracker.update(&NameRef("a"), Claim::alive(99), NOW);
    }
    assert_eq!((tracker.len(), MADE.get()), (0, 1));
    let _ = tracker.update(&NameRef("a"), Claim::alive(100), NOW);
    assert_eq!((tracker.len(), MADE.get()), (1, 2));
    tracker.forget(&NameRef("a"));
    assert_eq!((tracker.len(), tracker.tombstones()), (0, 0));
}

#[test]
fn slices_paths_and_shared_strings_are_keys() {
    fn takes<K, Q>(node: &Q)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static + Borrow<Q>,
        Q: ?Sized + ToKey<K>,
    {
        let tracker: IncarnationTracker<K> = IncarnationTracker::builder().build().unwrap();
        assert_eq!(tracker.update(node, Claim::alive(1), NOW), Verdict::Joined);
        assert!(tracker.contains(node));
    }
    takes::<Vec<u8>, [u8]>(&[1, 2, 3]);
    takes::<Arc<[u8]>, [u8]>(&[1, 2, 3]);
    takes::<PathBuf, Path>(Path::new("/a"));
    takes::<Arc<str>, str>("a");
    takes::<Box<str>, str>("a");
    takes::<u32, u32>(&7);
}

/// Breaks the contract: it equals no key, not even the one that it makes.
#[derive(Hash)]
struct Liar(u32);

impl equivalent::Equivalent<Name> for Liar {
    fn equivalent(&self, _key: &Name) -> bool {
        false
    }
}

impl ToKey<Name> for Liar {
    fn to_key(&self) -> Name {
        Name(format!("made of {}", self.0))
    }
}

#[test]
fn a_stand_in_that_does_not_equal_its_key_harms_no_other_node() {
    let tracker = IncarnationTracker::<Name>::builder()
        .max_nodes(50)
        .hard_limit(100)
        .eviction_headroom(0)
        .build()
        .unwrap();
    let honest = Name("honest".to_owned());
    assert_eq!(
        tracker.update(&honest, Claim::alive(1), NOW),
        Verdict::Joined
    );
    for step in 0..500 {
        let liar = Liar(step % 3);
        let _ = tracker.update(&liar, Claim::alive(1), NOW);
        assert_eq!(tracker.get(&liar), None);
        assert!(tracker.remove(&liar, NOW).is_none());
        assert!(tracker.len() <= 100);
    }
    assert_eq!(
        tracker.get(&honest).map(|state| state.claim()),
        Some(Claim::alive(1))
    );
    // What it left is removed as any node is.
    assert!(tracker.retain(NOW, |member| *member.key() == honest) > 0);
    assert_eq!(tracker.len(), 1);
    assert!(tracker.update(&honest, Claim::suspect(1), NOW).accepted());
}
