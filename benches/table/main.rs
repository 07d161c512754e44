//! The tracker's own operations, for regressions: `cargo bench --bench table [-- FILTER]`.
//!
//! With `--features mirror` also what reconciling with a foca costs.
//!
//! criterion keeps the results under `target/criterion` and says what changed since the last run;
//! `-- --save-baseline NAME` and `-- --baseline NAME` compare with any other.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
#[cfg(feature = "mirror")]
use foca::{Member, State};
#[cfg(feature = "mirror")]
use incarnation::foca::Mirror;
use incarnation::{Claim, IncarnationTracker, NodeState, SweepScope, Timestamp};

type Tracker = IncarnationTracker<SocketAddr>;

const SIZES: [usize; 2] = [10_000, 1_000_000];
const PACKET: usize = 32;
const NOW: Timestamp = Timestamp::from_nanos(7);

fn node(number: usize) -> SocketAddr {
    let mixed = (number as u32).wrapping_mul(0x9e37_79b1);
    SocketAddr::from((mixed.to_be_bytes(), 7946))
}

/// A table whose first `nodes` nodes are alive at incarnation 1.
fn tracker(nodes: usize) -> Tracker {
    let tracker = Tracker::builder()
        .max_nodes(nodes)
        .max_incarnation_jump(u64::MAX)
        .build()
        .expect("the limits fit each other");
    for number in 0..nodes {
        let _ = tracker.update(&node(number), Claim::alive(1), NOW);
    }
    tracker
}

/// Numbers below `nodes` in an order that no prefetcher follows, over and over.
fn places(nodes: usize) -> impl FnMut() -> usize {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(0x915f_77f5).wrapping_add(1);
        ((u64::from(state) * nodes as u64) >> 32) as usize
    }
}

fn lookups(group: &mut BenchmarkGroup<'_, WallTime>, tracker: &Tracker, nodes: usize) {
    let id = |name| BenchmarkId::new(name, nodes);
    group.bench_function(id("lookup"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| tracker.get(&node(place())));
    });
    group.bench_function(id("lookup of an unknown node"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| tracker.get(&node(nodes + place())));
    });
    group.bench_function(id("lookup through a view"), |bencher| {
        let mut place = places(nodes);
        let view = tracker.pin();
        bencher.iter(|| view.get(&node(place())));
    });
    group.bench_function(id("state through a handle"), |bencher| {
        let handle = tracker.handle(&node(0)).expect("a known node");
        bencher.iter(|| black_box(&handle).state());
    });
    group.bench_function(id("32 states at once"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| {
            let packet: [_; PACKET] = std::array::from_fn(|_| node(place()));
            let mut known = 0;
            tracker
                .pin()
                .states(&packet, |_, state| known += usize::from(state.is_some()));
            known
        });
    });
}

fn claims(group: &mut BenchmarkGroup<'_, WallTime>, tracker: &Tracker, nodes: usize) {
    let id = |name| BenchmarkId::new(name, nodes);
    group.bench_function(id("duplicate claim"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| tracker.update(&node(place()), Claim::alive(1), NOW));
    });
    group.bench_function(id("stale claim"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| tracker.update(&node(place()), Claim::dead(0), NOW));
    });
    group.bench_function(id("packet of 32 duplicates"), |bencher| {
        let mut place = places(nodes);
        bencher.iter(|| {
            let packet: [_; PACKET] = std::array::from_fn(|_| (node(place()), Claim::alive(1)));
            let mut accepted = 0;
            tracker.pin().update_batch(&packet, NOW, |_, verdict| {
                accepted += usize::from(verdict.accepted());
            });
            accepted
        });
    });
    group.bench_function(id("accepted claim"), |bencher| {
        let mut place = places(nodes);
        let mut incarnation = 1 << 20;
        bencher.iter(|| {
            incarnation += 1;
            tracker.update(&node(place()), Claim::alive(incarnation), NOW)
        });
    });
    group.bench_function(id("join and removal"), |bencher| {
        let stranger = node(nodes);
        bencher.iter(|| {
            let joined = tracker.update(&stranger, Claim::alive(1), NOW);
            (joined, tracker.remove(&stranger, NOW))
        });
    });
}

fn scans(group: &mut BenchmarkGroup<'_, WallTime>, tracker: &Tracker, nodes: usize) {
    let id = |name| BenchmarkId::new(name, nodes);
    group.throughput(Throughput::Elements(nodes as u64));
    group.bench_function(id("iteration"), |bencher| {
        bencher.iter(|| {
            let view = tracker.pin();
            let sum = |sum: u64, state: incarnation::NodeState| sum + state.incarnation.get();
            view.iter().map(|(_, state)| state).fold(0, sum)
        });
    });
    group.bench_function(id("sweep that finds nothing"), |bencher| {
        bencher.iter(|| tracker.sweep_with(SweepScope::Expiry, NOW, |_| {}));
    });
}

/// What stands beside the table: subscribers, samples, numbers, snapshots.
fn beside(criterion: &mut Criterion) {
    const NODES: usize = 10_000;
    let mut group = criterion.benchmark_group("beside the table");
    let tracker = tracker(NODES);
    let mut incarnation = 1 << 20;
    let mut place = places(NODES);
    let mut claim = || {
        incarnation += 1;
        tracker.update(&node(place()), Claim::alive(incarnation), NOW)
    };
    group.bench_function("accepted claim, nobody subscribed", |bencher| {
        bencher.iter(&mut claim);
    });
    let mut subscriber = tracker.subscribe();
    group.bench_function("accepted claim, a subscriber sleeps", |bencher| {
        bencher.iter(&mut claim);
    });
    group.bench_function("accepted claim, and a drain of it", |bencher| {
        subscriber.drain(|_, _| {});
        bencher.iter(|| (claim(), subscriber.drain(|_, _| {})));
    });
    group.bench_function("drain of nothing", |bencher| {
        subscriber.drain(|_, _| {});
        bencher.iter(|| subscriber.drain(|_, _| {}));
    });
    drop(subscriber);
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.rotate_right(29)
    };
    // Half of the nodes pass, by chance: the processor cannot learn which.
    let is_even = |_: &SocketAddr, state: NodeState| state.last_update.as_nanos().is_multiple_of(2);
    for number in 0..NODES {
        let seen = Timestamp::from_nanos(random() >> 8);
        let _ = tracker.update(&node(number), Claim::alive(1 << 40), seen);
    }
    group.bench_function("pick, any node passes", |bencher| {
        let view = tracker.pin();
        bencher.iter(|| view.pick(&mut random, |_, _| true).is_some());
    });
    group.bench_function("pick, half of the nodes pass", |bencher| {
        let view = tracker.pin();
        bencher.iter(|| view.pick(&mut random, is_even).is_some());
    });
    group.bench_function("sample of 3", |bencher| {
        bencher.iter(|| tracker.sample(3, &mut random, |_, _| true));
    });
    group.bench_function("counts", |bencher| bencher.iter(|| tracker.counts()));
    group.bench_function("stats", |bencher| bencher.iter(|| tracker.stats()));
    group.bench_function("snapshot of 10000", |bencher| {
        bencher.iter(|| tracker.snapshot(NOW));
    });
    group.finish();
}

/// All threads look up one node; the time of an operation and thread.
fn threads(criterion: &mut Criterion) {
    let tracker = tracker(10_000);
    let mut group = criterion.benchmark_group("threads");
    for threads in [1, 2, 4] {
        group.bench_function(BenchmarkId::new("lookup of one node", threads), |bencher| {
            bencher.iter_custom(|count| {
                let barrier = Barrier::new(threads);
                let run = || {
                    barrier.wait();
                    let begin = Instant::now();
                    for _ in 0..count {
                        black_box(tracker.get(black_box(&node(0))));
                    }
                    begin.elapsed()
                };
                std::thread::scope(|scope| {
                    let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
                    let times = workers.into_iter().map(|worker| worker.join());
                    let sum: Duration = times.map(|time| time.expect("a worker")).sum();
                    sum / threads as u32
                })
            });
        });
    }
    group.finish();
}

/// Reconciling with the members of a foca: none changed, one did, and all are in another order.
#[cfg(feature = "mirror")]
fn mirror(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mirror of foca");
    for nodes in [1_000, 10_000] {
        let tracker = incarnation::foca::builder(nodes).build();
        let tracker = tracker.expect("the limits fit each other");
        let mut mirror = Mirror::new(tracker, |member: &SocketAddr| *member);
        let alive = |number| Member::new(node(number), 0, State::Alive);
        let mut members: Vec<_> = (0..nodes).map(alive).collect();
        let _ = mirror.reconcile(&members, NOW);
        let id = |name| BenchmarkId::new(name, nodes);
        group.bench_function(id("nothing changed"), |bencher| {
            bencher.iter(|| mirror.reconcile(&members, NOW));
        });
        let mut incarnation = 0;
        group.bench_function(id("one changed"), |bencher| {
            bencher.iter(|| {
                incarnation += 1;
                members[nodes / 2] = Member::new(node(nodes / 2), incarnation as u16, State::Alive);
                mirror.reconcile(&members, NOW)
            });
        });
        group.bench_function(id("all in another order"), |bencher| {
            bencher.iter(|| {
                members.reverse();
                mirror.reconcile(&members, NOW)
            });
        });
    }
    group.finish();
}

fn building(criterion: &mut Criterion) {
    criterion.bench_function("a table of 1000 nodes, made and filled", |bencher| {
        bencher.iter_batched(|| (), |()| tracker(1000), BatchSize::PerIteration);
    });
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for nodes in SIZES {
        let tracker = tracker(nodes);
        let mut group = criterion.benchmark_group("table");
        lookups(&mut group, &tracker, nodes);
        claims(&mut group, &tracker, nodes);
        scans(&mut group, &tracker, nodes);
        group.finish();
    }
    threads(&mut criterion);
    beside(&mut criterion);
    #[cfg(feature = "mirror")]
    mirror(&mut criterion);
    building(&mut criterion);
    criterion.final_summary();
}
