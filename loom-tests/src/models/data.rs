//! Data of the program's own: whole when it is seen, the linker's, dropped once and not while a view reaches it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use incarnation::{Claim, IncarnationTracker, SweepScope, Verdict};

use crate::world::{BEGIN, Chains, NODE, builder};
use crate::{Bounds, Model, USUAL};

/// Two joins of one node have many steps, and each of them decides.
const LONG: Bounds = Bounds::new(
    2,
    1,
    "long roles: what is shown is which thread makes and which drops the data, which one interruption between any two \
     steps of a role decides",
);

/// What the data counts: the checker does not see it, so it adds nothing to explore.
#[derive(Default)]
struct Census {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

struct Data {
    /// 0 if the builder's function made it, else the role whose call did.
    maker: u8,
    census: Arc<Census>,
}

impl Drop for Data {
    fn drop(&mut self) {
        self.census.dropped.fetch_add(1, Relaxed);
    }
}

struct World {
    tracker: IncarnationTracker<u8, Data, Chains>,
    census: Arc<Census>,
    /// For each claim its role, its verdict, and whether it made data.
    claims: Mutex<Vec<(u8, Verdict, bool)>>,
}

impl World {
    fn new(max_tombstones: usize, nodes: &[u8]) -> Self {
        let census = Arc::<Census>::default();
        let of_builder = census.clone();
        let tracker = builder()
            .max_tombstones(max_tombstones)
            .data_with(move |_| Self::data(&of_builder, 0))
            .build()
            .unwrap();
        for node in nodes {
            let _ = tracker.update(node, Claim::alive(1), BEGIN);
        }
        Self {
            tracker,
            census,
            claims: Mutex::default(),
        }
    }

    fn data(census: &Arc<Census>, maker: u8) -> Data {
        census.made.fetch_add(1, Relaxed);
        Data {
            maker,
            census: census.clone(),
        }
    }

    /// A claim whose call makes the data.
    fn claim(&self, maker: u8, claim: Claim) {
        let mut has_made = false;
        let data = || {
            has_made = true;
            Self::data(&self.census, maker)
        };
        let verdict = self.tracker.update_with(&NODE, claim, BEGIN, data);
        self.claims.lock().unwrap().push((maker, verdict, has_made));
    }

    /// The node has the data of a claim that made some, though another claim may have raised its entry and be told that
    /// the node joined by it. One claim is told so.
    fn assert_linkers_data(&self) {
        let maker = self.maker().expect("the node is in the table");
        let claims = self.claims.lock().unwrap();
        let joined = claims
            .iter()
            .filter(|(_, verdict, _)| *verdict == Verdict::Joined);
        assert_eq!(joined.count(), 1, "{claims:?}");
        let made = claims.iter().find(|(role, ..)| *role == maker);
        assert!(
            made.is_some_and(|(_, _, has_made)| *has_made),
            "{maker} {claims:?}"
        );
    }

    fn maker(&self) -> Option<u8> {
        let view = self.tracker.pin();
        let member = view.find(&NODE)?;
        Some(member.data().maker)
    }

    /// Once no view is left, the data that was made and not dropped is that of the nodes in the table.
    fn assert_dropped_once(&self, left: usize) {
        let _ = self.tracker.sweep_with(SweepScope::Capacity, BEGIN, |_| {});
        let Census { made, dropped } = &*self.census;
        assert_eq!(self.tracker.len(), left);
        assert_eq!(made.load(Relaxed) - dropped.load(Relaxed), left);
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "data::two_linkers",
            LONG,
            || World::new(0, &[]),
            &[
                |w: &World| w.claim(1, Claim::alive(1)),
                |w: &World| w.claim(2, Claim::suspect(1)),
            ],
            |w: &World| {
                w.assert_linkers_data();
                w.assert_dropped_once(1);
            },
        ),
        Model::new(
            "data::a_refusal_at_the_second_look",
            Bounds::new(
                1,
                0,
                "the old claim is cut once, between its first look at the tombstones and its link; the other role runs as a \
                 whole there. With shadows, one preemption takes minutes",
            ),
            || World::new(1, &[]),
            &[
                |w: &World| w.claim(1, Claim::alive(1)),
                |w: &World| {
                    w.claim(2, Claim::dead(5));
                    assert!(w.tracker.remove(&NODE, BEGIN).is_some());
                },
            ],
            // The old claim came first and died with the node, or the tombstone refused it.
            |w: &World| w.assert_dropped_once(0),
        ),
        Model::new(
            "data::a_reader_sees_it_whole",
            USUAL,
            || World::new(0, &[]),
            &[
                |w: &World| w.claim(1, Claim::alive(1)),
                |w: &World| assert!(w.maker().is_none_or(|maker| maker == 1)),
            ],
            |w: &World| w.assert_dropped_once(1),
        ),
        Model::new(
            "data::a_view_outlives_the_node",
            USUAL,
            || World::new(0, &[NODE]),
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    if let Some(member) = view.find(&NODE) {
                        let _ = w.tracker.counts();
                        assert_eq!(member.data().maker, 0);
                    }
                },
                |w: &World| {
                    assert!(w.tracker.remove(&NODE, BEGIN).is_some());
                    let _ = w.tracker.sweep_with(SweepScope::Capacity, BEGIN, |_| {});
                },
            ],
            |w: &World| w.assert_dropped_once(0),
        ),
    ]
}
