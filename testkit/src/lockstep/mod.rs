//! The real tracker and the sequential model, side by side: after every operation each answer and
//! everything that can be seen must be the same.
//!
//! Called by property tests, the fuzz target and the stored inputs.

mod access_path;
mod observe;
mod steps;

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use incarnation::{
    IncarnationTracker, NodeHandle, NodeState, Reclaimer, Slot, Timestamp, Verdict, View,
};

use crate::colliding_hasher::CollidingHasher;
use crate::model::{Held, Model};
use crate::ops::{HANDLES, Key, Setup, Step};

type Tracker = IncarnationTracker<Key, (), CollidingHasher>;

/// Where tracker and model differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// After how many steps.
    pub step: usize,
    /// What was done.
    pub op: String,
    /// What was compared.
    pub what: String,
    /// What the model says.
    pub model: String,
    /// What the tracker says.
    pub tracker: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            op,
            what,
            model,
            tracker,
        } = self;
        write!(
            f,
            "step {step}, {op}: {what}: the model says {model}, the tracker {tracker}"
        )
    }
}

impl std::error::Error for Difference {}

/// Does the steps to both; returns the verdicts they agreed on.
///
/// # Errors
///
/// The first difference.
pub fn run(setup: &Setup, steps: &[Step]) -> Result<Vec<Verdict>, Difference> {
    let local = setup.has_local.then_some(0);
    let mut builder = setup.rules.builder().local_incarnation(setup.own);
    if let Some(local) = local {
        builder = builder.local_node(local);
    }
    // Private, so that views of other threads' trackers delay nothing here.
    let builder = builder.reclaimer(Reclaimer::private());
    let tracker = builder
        .hasher(CollidingHasher {
            bits: setup.hash_bits,
        })
        .build()
        .map_err(|why| Difference {
            step: 0,
            op: format!("{setup:?}"),
            what: "building".to_owned(),
            model: "possible".to_owned(),
            tracker: why.to_string(),
        })?;
    let mut lockstep = Lockstep {
        tracker: &tracker,
        model: Model::new(setup.rules.clone(), local, setup.own),
        nodes: setup.nodes,
        held: None,
        handles: Default::default(),
        slots: BTreeMap::new(),
        // So that times may go back a little.
        now: Timestamp::from_nanos(1000),
        verdicts: Vec::new(),
    };
    for (number, step) in steps.iter().enumerate() {
        lockstep.now =
            Timestamp::from_nanos(lockstep.now.as_nanos().saturating_add_signed(step.passed));
        lockstep
            .step(&step.op)
            .and_then(|()| lockstep.compare_all())
            .map_err(
                |Unequal {
                     what,
                     model,
                     tracker,
                 }| Difference {
                    step: number + 1,
                    op: format!("{:?} at {}", step.op, lockstep.now),
                    what,
                    model,
                    tracker,
                },
            )?;
    }
    Ok(lockstep.verdicts)
}

struct Lockstep<'t> {
    tracker: &'t Tracker,
    model: Model<Key>,
    nodes: Key,
    held: Option<View<'t, Key, (), CollidingHasher>>,
    handles: [Option<HeldHandle>; HANDLES as usize],
    /// Each slot a handle had, and whose lifetime it was.
    slots: BTreeMap<Slot, (Key, u64)>,
    now: Timestamp,
    verdicts: Vec<Verdict>,
}

/// A handle, and the lifetime that it was taken in.
struct HeldHandle {
    handle: NodeHandle<Key, (), CollidingHasher>,
    node: Key,
    lifetime: u64,
}

impl HeldHandle {
    /// Whether that lifetime goes on.
    fn lasts_in(&self, model: &Model<Key>) -> bool {
        model.lifetime(&self.node) == Some(self.lifetime)
    }
}

struct Unequal {
    what: String,
    model: String,
    tracker: String,
}

fn same<T: PartialEq + Debug>(what: impl ToString, model: T, tracker: T) -> Result<(), Unequal> {
    if model == tracker {
        return Ok(());
    }
    Err(Unequal {
        what: what.to_string(),
        model: format!("{model:?}"),
        tracker: format!("{tracker:?}"),
    })
}

fn held(state: Option<NodeState>) -> Option<Held> {
    state.and_then(Held::of)
}
