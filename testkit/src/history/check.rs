//! The checker: is there an order of the operations that respects real time and in which the
//! sequential model answers the same?
//!
//! Wing and Gong's search in Lowe's just-in-time form (*Testing for linearizability*, 2017): walk
//! through beginnings and ends in real time, and keep every configuration that is still
//! possible, each a state of the node and the set of open operations that have taken effect in it. When an
//! operation ends it must have taken effect: each configuration lets open operations take effect, in
//! every order that the answers allow, until it has. The set is the memo: equal configurations are one.
//! It stays small, since no more operations are open than there are threads.

use std::collections::HashSet;
use std::fmt;

use incarnation::rule::{Judgement, Proposal, ProposalKind};
use incarnation::{Rejection, Status, SweepReason, SweepScope, Timestamp, Verdict};

use super::tombstones::Tombstones;
use super::{Event, History, Key, What};
use crate::model::{Held, Node, Rules};

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked {
    /// How many events of nodes.
    pub events: usize,
    /// The largest number of configurations that were possible at once.
    pub widest: usize,
}

/// An operation whose answer no order explains.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The node.
    pub node: Key,
    /// The operation.
    pub event: Event,
    /// What else went on.
    pub open: Vec<Event>,
    /// The states the node may have been in before any of it.
    pub before: Vec<Node>,
    /// What ended last before it.
    pub earlier: Vec<Event>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "node {}: {:?} is not explained", self.node, self.event)?;
        writeln!(f, "  by any order of what went on meanwhile:")?;
        for event in &self.open {
            writeln!(f, "    {event:?}")?;
        }
        writeln!(f, "  from any of the states before it:")?;
        for node in &self.before {
            writeln!(f, "    {node:?}")?;
        }
        writeln!(f, "  after:")?;
        for event in &self.earlier {
            writeln!(f, "    {event:?}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}

/// Checks a whole history.
///
/// # Errors
///
/// The first operation that no order explains.
pub fn check(history: &History) -> Result<Checked, Box<Violation>> {
    let mut checked = Checked::default();
    for (node, events) in &history.nodes {
        let search = Search::new(*node, history, events);
        checked.widest = checked.widest.max(search.run()?);
        checked.events += events.len();
    }
    Ok(checked)
}

/// A state of the node, and the open operations that have taken effect, a bit each.
type Configuration = (u64, Node);

struct Search<'h> {
    node: Key,
    rules: &'h Rules,
    events: &'h [Event],
    tombstones: Tombstones,
    /// For beginnings in order: the highest last update that an operation may have left by then.
    last_updates: Vec<(u64, Timestamp)>,
}

impl<'h> Search<'h> {
    fn new(node: Key, history: &'h History, events: &'h [Event]) -> Self {
        let mut last_updates: Vec<_> = events
            .iter()
            .filter_map(|event| match event.what {
                What::Submitted { now, .. } => Some((event.span.began, now)),
                _ => None,
            })
            .collect();
        // A sweep that would declare the node Dead raises the last update even if a claim is faster.
        if history.rules.suspect_timeout.is_some() {
            let sweeps = history.sweeps.iter();
            last_updates.extend(sweeps.map(|(span, now)| (span.began, *now)));
        }
        last_updates.sort_unstable();
        let mut highest = Timestamp::ZERO;
        for (_, last_update) in &mut last_updates {
            highest = highest.max(*last_update);
            *last_update = highest;
        }
        Self {
            node,
            rules: &history.rules,
            events,
            tombstones: Tombstones::of(events, &history.sweeps),
            last_updates,
        }
    }

    /// Returns the largest number of configurations.
    fn run(&self) -> Result<usize, Box<Violation>> {
        // What begins at a count may overlap what ends at it: beginnings first.
        let mut moments: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * self.events.len());
        for (number, event) in self.events.iter().enumerate() {
            moments.push((event.span.began, false, number));
            moments.push((event.span.ended, true, number));
        }
        moments.sort_unstable();

        let mut widest = 1;
        let mut open: Vec<Option<usize>> = Vec::new();
        let mut configurations = HashSet::from([(0, Node::default())]);
        for (moment, (_, is_end, number)) in moments.iter().enumerate() {
            if !is_end {
                match open.iter_mut().find(|place| place.is_none()) {
                    Some(place) => *place = Some(*number),
                    None => open.push(Some(*number)),
                }
                assert!(open.len() <= 64, "more open operations than bits");
                continue;
            }
            let place = open.iter().position(|place| *place == Some(*number));
            let place = place.unwrap_or_else(|| unreachable!("it began"));
            let after = self.let_take_effect(&configurations, &open, place);
            if after.is_empty() {
                return Err(Box::new(self.violation(
                    *number,
                    &open,
                    configurations,
                    &moments[..moment],
                )));
            }
            configurations = after;
            widest = widest.max(configurations.len());
            open[place] = None;
        }
        Ok(widest)
    }

    /// The configurations in which the operation at `place` has taken effect, with its bit cleared for
    /// the next one there.
    fn let_take_effect(
        &self,
        configurations: &HashSet<Configuration>,
        open: &[Option<usize>],
        place: usize,
    ) -> HashSet<Configuration> {
        let goal = 1 << place;
        let mut after = HashSet::new();
        let mut seen = HashSet::new();
        let mut left: Vec<Configuration> = configurations.iter().copied().collect();
        while let Some((effected, node)) = left.pop() {
            if effected & goal != 0 {
                after.insert((effected & !goal, node));
                continue;
            }
            for (place, number) in open.iter().enumerate() {
                let bit = 1 << place;
                let Some(number) = *number else { continue };
                if effected & bit != 0 {
                    continue;
                }
                self.effects(node, &self.events[number], &mut |node| {
                    let next = (effected | bit, node);
                    if seen.insert(next) {
                        left.push(next);
                    }
                });
            }
        }
        after
    }

    /// The states an operation with this answer may leave the node in; none if the answer is wrong.
    fn effects(&self, node: Node, event: &Event, each: &mut dyn FnMut(Node)) {
        let highest = self.highest_last_update(event);
        let fits = |got: Held| {
            node.state.is_some_and(|state| {
                state.packed == got.packed && state.at <= got.at && got.at <= highest
            })
        };
        let matches = |got: Option<Held>| match got {
            Some(got) => fits(got),
            None => node.state.is_none(),
        };
        let gone = Node {
            state: None,
            ..node
        };
        match event.what {
            What::Submitted {
                proposal,
                now,
                verdict,
            } => self.judge(node, event, proposal, now, verdict, each),
            What::Judged {
                claim,
                now,
                verdict,
            } => {
                let mut is_right = false;
                let proposal = Proposal::claim(claim);
                self.judge(node, event, proposal, now, verdict, &mut |_| {
                    is_right = true
                });
                if is_right {
                    each(node);
                }
            }
            What::Seen(state) if matches(state) => each(node),
            What::Removed { now, last } if matches(last) => each(self.buried(node, now)),
            What::RemovedIf {
                expected,
                now,
                result,
            } => match result {
                Ok(last) if fits(last) && last.packed.claim() == expected => {
                    each(self.buried(node, now));
                }
                Err(other)
                    if matches(other)
                        && other.is_none_or(|other| other.packed.claim() != expected) =>
                {
                    each(node);
                }
                _ => {}
            },
            What::Forgotten(last) if matches(last) => each(gone),
            What::Opened => each(Node {
                tombstone: None,
                ..node
            }),
            What::Swept { reason, last, now } if fits(last) => {
                if let Some(node) = self.swept(node, reason, last, now) {
                    each(node);
                }
            }
            _ => {}
        }
    }

    /// The latest last update the node may show when the operation ends.
    fn highest_last_update(&self, event: &Event) -> Timestamp {
        let begun = self
            .last_updates
            .partition_point(|(began, _)| *began <= event.span.ended);
        match begun.checked_sub(1) {
            Some(last) => self.last_updates[last].1,
            None => Timestamp::ZERO,
        }
    }

    /// The node after its lifetime, and with a tombstone if it died.
    fn buried(&self, node: Node, now: Timestamp) -> Node {
        let mut gone = Node {
            state: None,
            ..node
        };
        if let Some(death) = node.tombstone_on_removal(self.rules, now) {
            gone.write_tombstone(self.rules, death, now);
        }
        gone
    }

    fn swept(&self, node: Node, reason: SweepReason, last: Held, now: Timestamp) -> Option<Node> {
        if reason == SweepReason::Capacity {
            let runs = matches!(last.packed.status(), Status::Suspect | Status::Alive);
            let may_go = self.rules.evict_alive || !runs;
            return may_go.then(|| self.buried(node, now));
        }
        // By the last update that the sweep itself read.
        let read = Node {
            state: Some(last),
            ..node
        };
        let (fate, left_with) = read.fate(self.rules, SweepScope::Everything, now)?;
        if fate != reason {
            return None;
        }
        let mut node = node;
        match left_with {
            Some(packed) => node.write(packed, now),
            None => node = self.buried(node, now),
        }
        Some(node)
    }

    /// The states after a proposal with this verdict.
    fn judge(
        &self,
        node: Node,
        event: &Event,
        proposal: Proposal,
        now: Timestamp,
        verdict: Verdict,
        each: &mut dyn FnMut(Node),
    ) {
        let no_room = matches!(
            verdict,
            Verdict::Rejected(Rejection::AtCapacity | Rejection::PendingReclaim)
        );
        if no_room && node.state.is_some() {
            return;
        }
        // As judged against what stands in for the node; written to the node itself.
        let mut consider = |judged: Node, node: Node| match judged.judge(self.rules, proposal, now)
        {
            // There may be no room at any time, for entries that wait for views.
            Judgement::Write(..) if no_room => each(node),
            Judgement::Write(packed, answer) if answer == verdict => {
                let mut node = node;
                node.write(packed, now);
                each(node);
            }
            Judgement::Keep(answer) if answer == verdict => each(node),
            _ => {}
        };
        consider(node, node);
        // A last update may be later than that of the claim that was accepted: it never tells a verdict
        // but whether a death was recent.
        let highest = self.highest_last_update(event);
        if matches!(proposal.kind(), ProposalKind::Rejoin(_)) {
            consider(raised(node, highest), node);
        }
        if node.state.is_some() && !node.is_only_heard_of() {
            return;
        }
        for death in self.tombstones.lingering(event.span) {
            // One of the same packed state, but of an earlier time, keeps its time.
            if node
                .tombstone
                .is_none_or(|tombstone| tombstone.packed <= death.packed)
            {
                let haunted = Node {
                    tombstone: Some(death),
                    ..node
                };
                consider(haunted, node);
                consider(raised(haunted, highest), node);
            }
        }
    }

    fn violation(
        &self,
        number: usize,
        open: &[Option<usize>],
        configurations: HashSet<Configuration>,
        moments: &[(u64, bool, usize)],
    ) -> Violation {
        let ended = moments.iter().rev().filter(|(_, is_end, _)| *is_end);
        let mut earlier: Vec<_> = ended
            .take(12)
            .map(|(.., number)| self.events[*number])
            .collect();
        earlier.reverse();
        Violation {
            node: self.node,
            event: self.events[number],
            open: open
                .iter()
                .flatten()
                .filter(|other| **other != number)
                .map(|number| self.events[*number])
                .collect(),
            before: configurations.into_iter().map(|(_, node)| node).collect(),
            earlier,
        }
    }
}

/// The node with its last update as late as it can be.
fn raised(node: Node, highest: Timestamp) -> Node {
    let raise = |held: Held| Held {
        at: held.at.max(highest),
        ..held
    };
    Node {
        state: node.state.map(raise),
        tombstone: node.tombstone.map(raise),
    }
}
