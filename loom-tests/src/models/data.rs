//! Data of the program's own: whole when it is seen, the linker's, dropped once and not while a view reaches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use incarnation::{Claim, IncarnationTracker, SweepScope};

use crate::world::{BEGIN, Chains, NODE, builder};
use crate::{Bounds, Model, USUAL};

/// Two joins of one node have many steps, and each of them decides.
const LONG: Bounds = Bounds::new(
    2,
    1,
    "long roles: what is shown is who makes and who drops the data, which one interruption between any two \
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
        Self { tracker, census }
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
        let data = || Self::data(&self.census, maker);
        let _ = self.tracker.update_with(&NODE, claim, BEGIN, data);
    }

    fn maker(&self) -> Option<u8> {
        let view = self.tracker.pin();
        let member = view.find(&NODE)?;
        Some(member.data().maker)
    }

    /// Once nobody looks any more, what was made and not dropped is that of the nodes in the table.
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
                assert!(w.maker().is_some_and(|maker| maker != 0));
                w.assert_dropped_once(1);
            },
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
