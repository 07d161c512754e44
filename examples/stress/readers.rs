//! The threads that look nodes up, and check that what they see can be.

use std::sync::atomic::Ordering;

use fastrand::Rng;
use incarnation::{NodeHandle, NodeState};

use crate::world::World;

/// Lives that a thread watches at a time.
const WATCHED: usize = 64;
/// Lookups between two looks at the time.
const BATCH: usize = 256;

/// A lifetime, and the last state seen in it.
struct Watched {
    node: usize,
    handle: NodeHandle,
    last: NodeState,
}

/// One thread's work, until the time is up.
pub fn look_up(world: &World, mut rng: Rng) {
    let nodes = world.options.nodes;
    let mut watched: Vec<Option<Watched>> = (0..WATCHED).map(|_| None).collect();
    let mut ended: Vec<Option<NodeHandle>> = (0..WATCHED).map(|_| None).collect();
    while !world.is_over() {
        world.tracker.with(|view| {
            for _ in 0..BATCH {
                let node = rng.usize(..nodes);
                if let Some(state) = view.get(&World::address(node)) {
                    world.check_state(node, state);
                }
            }
        });
        let mut lookups = BATCH;
        for place in &mut watched {
            lookups += 3;
            *place = match place.take() {
                None => begin_watching(world, rng.usize(..nodes)),
                Some(lifetime) => match watch(world, lifetime) {
                    Ok(lifetime) => Some(lifetime).filter(|_| rng.u8(..) > 0),
                    Err(handle) => {
                        ended[rng.usize(..WATCHED)] = Some(handle);
                        None
                    }
                },
            };
        }
        if let Some(handle) = &ended[rng.usize(..WATCHED)]
            && !handle.is_evicted()
        {
            world.violation(|| format!("{handle:?} came back to life"));
        }
        let live = world.tracker.len();
        if live > world.hard_limit {
            world.violation(|| format!("{live} nodes live, above {}", world.hard_limit));
        }
        world.lookups.fetch_add(lookups as u64, Ordering::Relaxed);
    }
}

fn begin_watching(world: &World, node: usize) -> Option<Watched> {
    let handle = world.tracker.handle(&World::address(node))?;
    let last = handle.state()?;
    world.check_state(node, last);
    Some(Watched { node, handle, last })
}

/// Looks at a lifetime three times, in the middle by the node's key; or gives back the handle of a lifetime
/// that is over.
fn watch(world: &World, lifetime: Watched) -> Result<Watched, NodeHandle> {
    let Watched { node, handle, last } = lifetime;
    let address = World::address(node);
    let Some(before) = handle.state() else {
        return Err(handle);
    };
    world.check_state(node, before);
    world.check_order(node, last, before);
    let between = world.tracker.get(&address);
    let Some(after) = handle.state() else {
        return Err(handle);
    };
    world.check_order(node, before, after);
    // The lifetime spans the lookup, so the lookup found this lifetime.
    match between {
        Some(between) => {
            world.check_order(node, before, between);
            world.check_order(node, between, after);
        }
        None => world.violation(|| format!("node {node} was not found during its lifetime")),
    }
    Ok(Watched {
        node,
        handle,
        last: after,
    })
}
