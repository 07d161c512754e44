//! A network that loses, delays, duplicates and reorders datagrams, and that splits.

use core::time::Duration;

use rand::Rng;
use rand_pcg::Pcg64Mcg;

/// The faults of a network. All chances are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Network {
    /// The chance that a datagram is lost.
    pub loss: f64,
    /// The chance that a datagram arrives twice.
    pub duplication: f64,
    /// The chance that a datagram takes up to twenty times as long, so that later ones overtake it.
    pub reordering: f64,
    /// The shortest time that a datagram takes.
    pub delay: Duration,
    /// How much longer a datagram may take. All times in between are equally likely.
    pub jitter: Duration,
    /// By node: its side of a partition. Only nodes of the same side hear each other.
    sides: Vec<u8>,
    /// By node: the only node that it hears; `None` if it hears all.
    hears_only: Vec<Option<usize>>,
}

impl Network {
    /// A good network: 1 to 10 ms, no faults.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            delay: Duration::from_millis(1),
            jitter: Duration::from_millis(9),
            sides: vec![0; nodes],
            hears_only: vec![None; nodes],
        }
    }

    /// Cuts the network in two: the nodes for which `apart` is true, and the others.
    pub fn split(&mut self, apart: impl Fn(usize) -> bool) {
        for (node, side) in self.sides.iter_mut().enumerate() {
            *side = u8::from(apart(node));
        }
    }

    /// Makes a node half-deaf: it hears only what the node `only` sends. All others still hear it.
    pub fn deafen(&mut self, node: usize, only: usize) {
        self.hears_only[node] = Some(only);
    }

    /// Ends the partition and all other faults.
    pub fn heal(&mut self) {
        *self = Self::new(self.sides.len());
    }

    /// After which delays a datagram arrives: never, once or twice.
    pub(crate) fn carry(
        &self,
        from: usize,
        to: usize,
        random: &mut Pcg64Mcg,
    ) -> [Option<Duration>; 2] {
        let mut chance = |of: f64| unit(random) < of;
        // The same numbers are drawn whatever comes of them, so that one more fault changes nothing else.
        let (lost, doubled) = (chance(self.loss), chance(self.duplication));
        let slowed = [chance(self.reordering), chance(self.reordering)];
        let delays = slowed.map(|slow| {
            let stretch = if slow { 20.0 } else { 1.0 };
            self.delay + self.jitter.mul_f64(unit(random) * stretch)
        });
        let deaf = self.hears_only[to].is_some_and(|only| only != from);
        if lost || deaf || self.sides[from] != self.sides[to] {
            return [None; 2];
        }
        [Some(delays[0]), doubled.then_some(delays[1])]
    }
}

fn unit(random: &mut Pcg64Mcg) -> f64 {
    random.next_u64() as f64 / u64::MAX as f64
}
