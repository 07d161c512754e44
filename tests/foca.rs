//! A mirror of foca's members equals foca's list after each step of random runs of a cluster, and the incarnations that
//! it shows never fall.
#![cfg(feature = "foca")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{
    AccumulatingRuntime, Config, Foca, Identity, Member, NoCustomBroadcast, Notification,
    OwnedNotification, PostcardCodec, Runtime, State, Timer,
};
use incarnation::foca::{Mirror, Reconciled, builder};
use incarnation::{Claim, Incarnation, IncarnationTracker, Status, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// An address, and how often the node there began anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Id {
    address: u8,
    renewals: u16,
}

impl Identity for Id {
    type Addr = u8;

    fn renew(&self) -> Option<Self> {
        Some(Self {
            renewals: self.renewals + 1,
            ..self.clone()
        })
    }

    fn addr(&self) -> u8 {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.renewals > adversary.renewals
    }
}

type Engine = Foca<Id, PostcardCodec, SmallRng, NoCustomBroadcast>;
type Key = fn(&Id) -> u8;

fn id(address: u8, renewals: u16) -> Id {
    Id { address, renewals }
}

fn address(id: &Id) -> u8 {
    id.address
}

fn engine(address: u8, seed: u64) -> Engine {
    let config = Config {
        probe_period: Duration::from_millis(100),
        probe_rtt: Duration::from_millis(40),
        num_indirect_probes: NonZeroUsize::new(2).unwrap(),
        max_transmissions: NonZeroU8::new(6).unwrap(),
        suspect_to_down_after: Duration::from_millis(250),
        // So soon that members are forgotten, and come back, many times in a run.
        remove_down_after: Some(Duration::from_millis(600)),
        ..Config::simple()
    };
    let random = SmallRng::seed_from_u64(seed);
    Foca::new(id(address, 0), config, random, PostcardCodec)
}

/// An instance, its mirror, and the states that the mirror showed before.
struct Node {
    engine: Engine,
    mirror: Mirror<u8, Key>,
    runtime: AccumulatingRuntime<Id>,
    /// The highest that the tracker ever showed of each member.
    highest: BTreeMap<u8, (Incarnation, Status)>,
    runs: bool,
}

impl Node {
    fn new(address_of_node: u8, seed: u64) -> Self {
        let tracker: IncarnationTracker<u8> = builder(64).build().unwrap();
        Self {
            engine: engine(address_of_node, seed),
            mirror: Mirror::new(tracker, address),
            runtime: AccumulatingRuntime::new(),
            highest: BTreeMap::new(),
            runs: true,
        }
    }

    /// One call into foca, and the reconciliation after it.
    fn step(
        &mut self,
        now: Timestamp,
        call: impl FnOnce(&mut Engine, &mut dyn ErasedRuntime),
    ) -> Reconciled {
        let Self {
            engine,
            mirror,
            runtime,
            ..
        } = self;
        let ((), report) = mirror.run(engine, runtime, now, |engine, mut runtime| {
            call(engine, &mut runtime);
        });
        self.check();
        report
    }

    /// The tracker equals foca's list.
    fn check(&mut self) {
        let tracker = self.mirror.tracker();
        let mut members = 0;
        for member in self.engine.iter_membership_state() {
            let key = address(member.id());
            let state = tracker
                .get(&key)
                .unwrap_or_else(|| panic!("{member:?} is unknown"));
            let status = match member.state() {
                State::Alive => Status::Alive,
                State::Suspect => Status::Suspect,
                State::Down => Status::Dead,
            };
            assert_eq!(
                (state.status, self.mirror.number(&key)),
                (status, Some(member.incarnation())),
                "{member:?}"
            );
            let shown = (state.incarnation, state.status);
            let before = self.highest.insert(key, shown);
            assert!(
                before <= Some(shown),
                "{member:?}: {before:?} before {shown:?}"
            );
            members += 1;
        }
        assert_eq!((tracker.len(), tracker.iter().count()), (members, members));
        assert_eq!(tracker.tombstones(), 0);
    }
}

/// foca takes runtimes by `impl Trait`; these closures take one behind a pointer.
trait ErasedRuntime {
    fn erased_notify(&mut self, notification: Notification<'_, Id>);
    fn erased_send_to(&mut self, to: Id, data: &[u8]);
    fn erased_submit_after(&mut self, event: Timer<Id>, after: Duration);
}

impl<R: Runtime<Id>> ErasedRuntime for R {
    fn erased_notify(&mut self, notification: Notification<'_, Id>) {
        self.notify(notification);
    }

    fn erased_send_to(&mut self, to: Id, data: &[u8]) {
        self.send_to(to, data);
    }

    fn erased_submit_after(&mut self, event: Timer<Id>, after: Duration) {
        self.submit_after(event, after);
    }
}

struct Through<'a>(&'a mut dyn ErasedRuntime);

impl Runtime<Id> for Through<'_> {
    fn notify(&mut self, notification: Notification<'_, Id>) {
        self.0.erased_notify(notification);
    }

    fn send_to(&mut self, to: Id, data: &[u8]) {
        self.0.erased_send_to(to, data);
    }

    fn submit_after(&mut self, event: Timer<Id>, after: Duration) {
        self.0.erased_submit_after(event, after);
    }
}

/// What is to happen at a node.
#[derive(Debug)]
enum Event {
    Data(Vec<u8>),
    Timer(Timer<Id>),
}

/// A cluster on virtual time.
struct Cluster {
    nodes: Vec<Node>,
    /// By time, in milliseconds, and order of making.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: BTreeMap<u64, Event>,
    made: u64,
    now: u64,
    random: SmallRng,
    loss: f64,
    seen: Seen,
}

/// What happened in all runs together: a run in which nothing did would show nothing.
#[derive(Debug, Default)]
struct Seen {
    steps: usize,
    joined: usize,
    changed: usize,
    forgotten: usize,
    suspect: usize,
    renewed: usize,
    lower_incarnations: usize,
}

impl Cluster {
    fn new(nodes: u8, seed: u64) -> Self {
        let mut cluster = Self {
            nodes: (0..nodes)
                .map(|address| Node::new(address, seed * 100 + u64::from(address)))
                .collect(),
            due: BinaryHeap::new(),
            events: BTreeMap::new(),
            made: 0,
            now: 0,
            random: SmallRng::seed_from_u64(seed),
            loss: 0.0,
            seen: Seen::default(),
        };
        for node in 1..usize::from(nodes) {
            cluster.act(node, |engine, runtime| {
                engine.announce(id(0, 0), Through(runtime)).unwrap();
            });
        }
        cluster
    }

    fn act(&mut self, node: usize, call: impl FnOnce(&mut Engine, &mut dyn ErasedRuntime)) {
        let now = Timestamp::from_millis(self.now);
        let before: BTreeMap<u8, u16> = self.nodes[node]
            .engine
            .iter_membership_state()
            .map(|member| (member.id().address, member.incarnation()))
            .collect();
        let report = self.nodes[node].step(now, call);
        assert_eq!(report.left_out, 0);
        self.seen.steps += 1;
        self.seen.joined += report.joined;
        self.seen.changed += report.changed;
        self.seen.forgotten += report.forgotten;
        for member in self.nodes[node].engine.iter_membership_state() {
            self.seen.suspect += usize::from(member.state() == State::Suspect);
            let lower = before
                .get(&member.id().address)
                .is_some_and(|own| member.incarnation() < *own);
            self.seen.lower_incarnations += usize::from(lower);
        }
        while let Some(notification) = self.nodes[node].runtime.to_notify() {
            self.seen.renewed += usize::from(matches!(notification, OwnedNotification::Rename(..)));
        }
        while let Some((to, data)) = self.nodes[node].runtime.to_send() {
            if !self.random.random_bool(self.loss) {
                let delay = self.random.random_range(1..30);
                self.plan(delay, usize::from(to.address), Event::Data(data.to_vec()));
            }
        }
        while let Some((delay, timer)) = self.nodes[node].runtime.to_schedule() {
            let delay = u64::try_from(delay.as_millis()).unwrap();
            self.plan(delay, node, Event::Timer(timer));
        }
    }

    fn plan(&mut self, delay: u64, node: usize, event: Event) {
        self.made += 1;
        self.events.insert(self.made, event);
        self.due.push(Reverse((self.now + delay, self.made, node)));
    }

    /// Everything that happens in so many milliseconds.
    fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(Reverse((at, made, node))) = self.due.peek().copied()
            && at <= end
        {
            self.due.pop();
            self.now = at;
            let event = self.events.remove(&made).unwrap();
            if !self.nodes[node].runs {
                continue;
            }
            self.act(node, |engine, runtime| {
                // Errors are foca's answers to what is out of date; the lists must be equal all the same.
                let _ = match &event {
                    Event::Data(data) => engine.handle_data(data, Through(runtime)),
                    Event::Timer(timer) => engine.handle_timer(timer.clone(), Through(runtime)),
                };
            });
        }
        self.now = end;
    }

    /// One thing that goes wrong, or is done on purpose.
    fn disturb(&mut self) {
        let node = self.random.random_range(0..self.nodes.len());
        let other = u8::try_from(self.random.random_range(0..self.nodes.len())).unwrap();
        match self.random.random_range(0..7) {
            0 => self.loss = self.random.random_range(0.0..0.4),
            1 => self.loss = 0.0,
            2 => self.nodes[node].runs = false,
            3 => {
                // A restart: it knows nobody and comes as somebody new.
                let renewals = self.nodes[node].engine.identity().renewals + 1;
                let address = self.nodes[node].engine.identity().address;
                let seed = self.random.random();
                self.nodes[node] = Node::new(address, seed);
                self.act(node, |engine, runtime| {
                    engine
                        .change_identity(id(address, renewals), Through(runtime))
                        .unwrap();
                    let _ = engine.announce(id(other, 0), Through(runtime));
                });
            }
            4 if self.nodes[node].runs => self.act(node, |engine, runtime| {
                let renewed = engine.identity().renew().unwrap();
                engine.change_identity(renewed, Through(runtime)).unwrap();
            }),
            5 if self.nodes[node].runs => {
                self.act(node, |engine, runtime| {
                    engine.leave_cluster(Through(runtime)).unwrap()
                });
                self.nodes[node].runs = false;
            }
            _ if self.nodes[node].runs => {
                // Gossip, true or not: Down at a low incarnation is legal, and wins.
                let state =
                    [State::Alive, State::Suspect, State::Down][self.random.random_range(0..3)];
                let renewals = self.random.random_range(0..3);
                let own = self.random.random_range(0..4);
                let heard = Member::new(id(other, renewals), own, state);
                self.act(node, |engine, runtime| {
                    let _ = engine.apply_many(std::iter::once(heard), true, Through(runtime));
                });
            }
            _ => {}
        }
    }
}

#[test]
fn after_every_step_of_random_runs_the_tracker_equals_the_members() {
    let mut total = Seen::default();
    for seed in 0..30 {
        let mut cluster = Cluster::new(6, seed);
        for _ in 0..60 {
            cluster.run(100);
            cluster.disturb();
        }
        let Seen {
            steps,
            joined,
            changed,
            forgotten,
            suspect,
            renewed,
            lower_incarnations,
        } = cluster.seen;
        total.steps += steps;
        total.joined += joined;
        total.changed += changed;
        total.forgotten += forgotten;
        total.suspect += suspect;
        total.renewed += renewed;
        total.lower_incarnations += lower_incarnations;
    }
    // All of what makes it hard did happen.
    println!("{total:?}");
    assert!(total.steps > 10_000, "{total:?}");
    for seen in [total.joined, total.changed, total.forgotten, total.suspect] {
        assert!(seen > 100, "{total:?}");
    }
    assert!(
        total.renewed > 50 && total.lower_incarnations > 20,
        "{total:?}"
    );
}

fn alone() -> Node {
    Node::new(0, 7)
}

fn hear(node: &mut Node, member: Member<Id>) -> Reconciled {
    node.step(Timestamp::ZERO, |engine, runtime| {
        engine
            .apply_many(std::iter::once(member), true, Through(runtime))
            .unwrap();
    })
}

/// The status and the mirror's incarnation that readers see of a member, and foca's incarnation.
fn stored(node: &Node, key: u8) -> (Status, u64, u16) {
    let state = node.mirror.tracker().get(&key).unwrap();
    let own = node.mirror.number(&key).unwrap();
    (state.status, state.incarnation.get(), own)
}

#[test]
fn down_wins_at_any_incarnation_and_stays() {
    let mut node = alone();
    let _ = hear(&mut node, Member::new(id(1, 0), 5, State::Alive));
    assert_eq!(stored(&node, 1), (Status::Alive, 0, 5));
    let _ = hear(&mut node, Member::new(id(1, 0), 2, State::Down));
    assert_eq!(stored(&node, 1), (Status::Dead, 1, 2));
    let report = hear(&mut node, Member::new(id(1, 0), 9, State::Alive));
    assert_eq!(
        (report, stored(&node, 1)),
        (Reconciled::default(), (Status::Dead, 1, 2))
    );
}

#[test]
fn a_renewed_identity_in_the_same_state_raises_the_incarnation() {
    let mut node = alone();
    let _ = hear(&mut node, Member::alive(id(1, 0)));
    assert_eq!(stored(&node, 1), (Status::Alive, 0, 0));
    let report = hear(&mut node, Member::alive(id(1, 1)));
    assert_eq!(
        (report.changed, stored(&node, 1)),
        (1, (Status::Alive, 1, 0))
    );
    // And nothing more is made of it afterwards.
    let report = hear(&mut node, Member::alive(id(1, 1)));
    assert_eq!(
        (report.changed, stored(&node, 1)),
        (0, (Status::Alive, 1, 0))
    );
}

#[test]
fn a_forgotten_member_that_returns_has_a_higher_incarnation() {
    let mut node = alone();
    let _ = hear(&mut node, Member::new(id(1, 0), 7, State::Down));
    let report = node.step(Timestamp::ZERO, |engine, runtime| {
        engine
            .handle_timer(Timer::RemoveDown(id(1, 0)), Through(runtime))
            .unwrap();
    });
    assert_eq!((report.forgotten, node.mirror.tracker().len()), (1, 0));
    let _ = hear(&mut node, Member::alive(id(1, 0)));
    assert_eq!(stored(&node, 1), (Status::Alive, 1, 0));
}

#[test]
fn members_without_room_are_reported_and_enter_once_there_is_room() {
    let mut node = alone();
    let tracker: IncarnationTracker<u8> = builder(2).build().unwrap();
    node.mirror = Mirror::new(tracker.clone(), address);
    for address in 1..=3 {
        let member = Member::new(id(address, 0), 0, State::Down);
        let engine = &mut node.engine;
        let runtime = node.mirror.watch(&mut node.runtime);
        engine
            .apply_many(std::iter::once(member), true, runtime)
            .unwrap();
        let report = node
            .mirror
            .reconcile(engine.iter_membership_state(), Timestamp::ZERO);
        assert_eq!(report.left_out, usize::from(address == 3));
    }
    // Neither does a sweep take anybody out, however long they have been dead.
    let much_later = Timestamp::from_millis(1 << 50);
    assert_eq!((tracker.sweep(much_later).evicted(), tracker.len()), (0, 2));
    let runtime = node.mirror.watch(&mut node.runtime);
    node.engine
        .handle_timer(Timer::RemoveDown(id(1, 0)), runtime)
        .unwrap();
    let report = node
        .mirror
        .reconcile(node.engine.iter_membership_state(), Timestamp::ZERO);
    assert_eq!(
        (report.forgotten, report.joined, report.left_out),
        (1, 1, 0)
    );
    node.check();
}

#[test]
fn changes_by_another_writer_are_corrected() {
    let mut node = alone();
    let _ = hear(&mut node, Member::alive(id(1, 0)));
    let tracker = node.mirror.tracker().clone();
    let _ = tracker.update(&9, Claim::alive(1), Timestamp::ZERO);
    let _ = tracker.update(&1, Claim::dead(3), Timestamp::ZERO);
    let report = hear(&mut node, Member::alive(id(1, 0)));
    assert_eq!((report.forgotten, report.changed), (1, 1));
    assert_eq!(stored(&node, 1), (Status::Alive, 4, 0));
}

#[test]
fn the_wrapped_runtime_receives_every_call_in_order() {
    let (mut plain, mut watched) = (AccumulatingRuntime::new(), AccumulatingRuntime::new());
    let mut mirror = Mirror::new(builder(8).build().unwrap(), address as Key);
    let heard = || {
        [
            Member::alive(id(1, 0)),
            Member::new(id(2, 0), 3, State::Suspect),
            Member::alive(id(1, 1)),
            Member::new(id(2, 0), 3, State::Down),
        ]
        .into_iter()
    };
    let (mut one, mut other) = (engine(0, 3), engine(0, 3));
    one.apply_many(heard(), true, &mut plain).unwrap();
    one.gossip(&mut plain).unwrap();
    other
        .apply_many(heard(), true, mirror.watch(&mut watched))
        .unwrap();
    other.gossip(mirror.watch(&mut watched)).unwrap();
    let (mut sent, mut planned, mut told) = (0, 0, 0);
    while let Some(expected) = plain.to_send() {
        assert_eq!(watched.to_send(), Some(expected));
        sent += 1;
    }
    while let Some(expected) = plain.to_schedule() {
        assert_eq!(watched.to_schedule(), Some(expected));
        planned += 1;
    }
    while let Some(expected) = plain.to_notify() {
        assert_eq!(watched.to_notify(), Some(expected));
        told += 1;
    }
    assert!(
        sent > 0 && planned > 0 && told > 3,
        "{sent} {planned} {told}"
    );
    assert_eq!(watched.backlog(), 0);
}

#[test]
fn running_members_take_the_room_of_down_ones() {
    // Ten nodes that get other addresses again and again, in a tracker with room for twenty.
    let tracker: IncarnationTracker<u8> = builder(20).build().unwrap();
    let mut node = alone();
    node.mirror = Mirror::new(tracker.clone(), address);
    for generation in 0..5_u8 {
        let members = (1..=10).flat_map(|name| {
            let at = |generation: u8| id(generation * 10 + name, 0);
            let gone = generation
                .checked_sub(1)
                .map(|before| Member::new(at(before), 0, State::Down));
            gone.into_iter().chain([Member::alive(at(generation))])
        });
        let engine = &mut node.engine;
        engine
            .apply_many(members, true, node.mirror.watch(&mut node.runtime))
            .unwrap();
        let report = node
            .mirror
            .reconcile(engine.iter_membership_state(), Timestamp::ZERO);
        assert_eq!(engine.num_members(), 10);
        assert_eq!(tracker.counts().alive, 10, "generation {generation}");
        let down = usize::from(generation) * 10;
        assert_eq!(report.left_out, down.saturating_sub(10));
    }
}

/// A cluster of names: a name that moved has two addresses, one of them Down until it is forgotten.
fn name(id: &Id) -> u8 {
    id.address % 100
}

#[test]
fn of_two_members_with_one_key_the_running_one_is_shown_and_subscribers_are_not_woken_again() {
    for down_first in [true, false] {
        let mut node = alone();
        node.mirror = Mirror::new(builder(64).build().unwrap(), name);
        let tracker = node.mirror.tracker().clone();
        let old = Member::new(id(1, 0), 4, State::Down);
        let new = Member::alive(id(101, 0));
        let members = if down_first { [old, new] } else { [new, old] };
        let mut subscriber = tracker.subscribe();
        for round in 0..5 {
            let _ = node.mirror.reconcile(&members, Timestamp::ZERO);
            assert_eq!(tracker.get(&1).unwrap().status, Status::Alive);
            let mut told = 0;
            subscriber.drain(|_, _| told += 1);
            assert_eq!(told, usize::from(round == 0), "round {round}");
        }
    }
}
