//! The hard limit holds at every instant.

use incarnation::{Claim, Rejection, Verdict};

use crate::world::{BEGIN, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "limits::two_inserts_for_one_place",
            Bounds {
                plain: 2,
                shadowed: 2,
            },
            || world(builder().hard_limit(1), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let verdict = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                    w.verdicts.lock().unwrap().push(verdict);
                },
            ],
            |w: &World| {
                let full = Verdict::Rejected(Rejection::AtCapacity);
                let verdicts = w.verdicts();
                assert!(verdicts.contains(&Verdict::Joined));
                assert!(verdicts.contains(&full));
                assert_eq!(w.tracker.stats().rejections.at_capacity, 1);
                assert_eq!(w.tracker.iter().count(), 1);
            },
        ),
        Model::new(
            "limits::reserve_at_the_hard_limit",
            USUAL,
            || world(builder().hard_limit(1), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    if view.update(&OTHER, Claim::alive(2), BEGIN) == Verdict::Joined {
                        // Who was let in sees the end of the one that made room.
                        assert_eq!(view.iter().count(), 1);
                    }
                },
            ],
            |_| {},
        ),
    ]
}
