//! Requests are balanced over the live members of a cluster, by the `Balance` of the crate tower (power of two choices).
//!
//! ```text
//! cargo run --release --example balance --features stream
//! ```
//!
//! The balancer's services come from a subscription to the tracker:
//!
//! - An Alive or Suspect node has a service. A suspicion that is refuted makes no new one.
//! - A node that is Dead, Left or out of the table has none. The balancer polls the subscription before each request, so
//!   the next request already goes elsewhere.
//! - tower drops a service for good when it fails its readiness, here because its connection broke. Such a node gets a new
//!   service once its incarnation rises or its lifetime in the table is another one: then it was restarted, or has
//!   answered somebody.
//!
//! Five servers take requests; one is killed and restarted. The exit status is 1 if a request went to a server after its
//! death was known, or a server that runs was not served again.
#![forbid(unsafe_code)]

#[macro_use]
mod shared;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use incarnation::{Change, Claim, Clock, Incarnation, IncarnationTracker, Status};
use tokio::sync::{mpsc, oneshot};
use tower::balance::p2c::Balance;
use tower::discover::Change as ServiceChange;
use tower::load::{CompleteOnResponse, PendingRequestsDiscover};
use tower::{Service, ServiceExt};

const SERVERS: u16 = 5;
/// Requests of one round; enough that each server that can be chosen is.
const REQUESTS: usize = 400;
/// Requests under way at once.
const CONCURRENCY: usize = 16;

type AnyError = Box<dyn Error + Send + Sync>;

/// The key of a server. It stands for its socket address.
type Key = u16;

/// A request: the server answers with its key.
type Request = oneshot::Sender<Key>;

/// The network: which servers accept connections. It stands for sockets, so that the example needs no ports.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<HashMap<Key, mpsc::UnboundedSender<Request>>>>);

impl Network {
    /// Starts a server.
    fn serve(&self, key: Key) -> tokio::task::JoinHandle<()> {
        let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.insert(key, sender);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                tokio::task::yield_now().await;
                // The client may have given up.
                let _ = request.send(key);
            }
        })
    }

    fn connect(&self, key: Key) -> Option<mpsc::UnboundedSender<Request>> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(&key).cloned()
    }
}

/// What all parts of the example count together.
#[derive(Default)]
struct Seen {
    /// Services made for each server.
    made: Mutex<HashMap<Key, usize>>,
    /// Requests that went to a server whose death was known.
    to_the_dead: AtomicUsize,
}

impl Seen {
    fn made(&self, key: Key) -> usize {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(&key).copied().unwrap_or_default()
    }
}

/// A connection to one server. It fails its readiness once it broke.
struct Endpoint {
    key: Key,
    connection: Option<mpsc::UnboundedSender<Request>>,
    is_broken: Arc<AtomicBool>,
    tracker: IncarnationTracker<Key>,
    seen: Arc<Seen>,
}

impl Service<()> for Endpoint {
    type Response = Key;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Key, AnyError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        // Relaxed: nothing is read through it.
        Poll::Ready(match self.is_broken.load(Ordering::Relaxed) {
            true => Err(format!("the connection to server {} broke", self.key).into()),
            false => Ok(()),
        })
    }

    fn call(&mut self, (): ()) -> Self::Future {
        // Everything runs on one thread, so no death became known since the balancer looked.
        let state = self.tracker.get(&self.key);
        if state.is_none_or(|state| state.status.is_gone()) {
            self.seen.to_the_dead.fetch_add(1, Ordering::Relaxed);
        }
        let (reply, answer) = oneshot::channel();
        let connection = self.connection.clone();
        let is_broken = Arc::downgrade(&self.is_broken);
        Box::pin(async move {
            let is_sent = connection.is_some_and(|connection| connection.send(reply).is_ok());
            let answer = match is_sent {
                true => answer.await.ok(),
                false => None,
            };
            if answer.is_none()
                && let Some(is_broken) = is_broken.upgrade()
            {
                is_broken.store(true, Ordering::Relaxed);
            }
            answer.ok_or_else(|| "the connection broke".into())
        })
    }
}

/// The services of the live members, as a stream of changes for the balancer.
struct Endpoints<C> {
    tracker: IncarnationTracker<Key>,
    changes: C,
    known: HashMap<Key, Known>,
    next: VecDeque<ServiceChange<Key, Endpoint>>,
    network: Network,
    seen: Arc<Seen>,
}

/// The service that was made for a node last.
struct Known {
    /// The lifetime and incarnation of the node then.
    generation: u64,
    incarnation: Incarnation,
    /// Owned by the service, so it is gone once tower dropped the service.
    is_broken: Weak<AtomicBool>,
}

impl<C> Endpoints<C> {
    /// Looks at the present state of a node that changed.
    fn update(&mut self, key: Key) {
        let handle = self.tracker.handle(&key);
        let live = handle.and_then(|handle| {
            let state = handle.state()?;
            let is_running = matches!(state.status, Status::Alive | Status::Suspect);
            is_running.then_some((handle.slot().generation, state.incarnation))
        });
        let Some((generation, incarnation)) = live else {
            if self.known.remove(&key).is_some() {
                self.next.push_back(ServiceChange::Remove(key));
            }
            return;
        };
        if let Some(known) = self.known.get_mut(&key) {
            let is_same = known.generation == generation;
            let is_served = known.is_broken.strong_count() > 0;
            if is_same && (is_served || incarnation <= known.incarnation) {
                if is_served {
                    known.incarnation = incarnation;
                }
                return;
            }
        }
        let is_broken = Arc::new(AtomicBool::new(false));
        let known = Known {
            generation,
            incarnation,
            is_broken: Arc::downgrade(&is_broken),
        };
        self.known.insert(key, known);
        let mut made = self
            .seen
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *made.entry(key).or_default() += 1;
        let endpoint = Endpoint {
            key,
            connection: self.network.connect(key),
            is_broken,
            tracker: self.tracker.clone(),
            seen: self.seen.clone(),
        };
        self.next.push_back(ServiceChange::Insert(key, endpoint));
    }
}

impl<C: Stream<Item = (Key, Change)> + Unpin> Stream for Endpoints<C> {
    type Item = Result<ServiceChange<Key, Endpoint>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(change) = self.next.pop_front() {
                return Poll::Ready(Some(Ok(change)));
            }
            match ready!(Pin::new(&mut self.changes).poll_next(context)) {
                None => return Poll::Ready(None),
                Some((key, _)) => self.update(key),
            }
        }
    }
}

/// How the requests of one round ended.
#[derive(Default)]
struct Round {
    served: HashMap<Key, usize>,
    failed: usize,
}

impl Round {
    fn are_served(&self, keys: impl IntoIterator<Item = Key>) -> bool {
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        let mut served: Vec<Key> = self.served.keys().copied().collect();
        served.sort_unstable();
        served == keys
    }
}

/// Sends requests, some at a time, and waits for their ends.
async fn send<B>(balance: &mut B, requests: usize) -> Result<Round, AnyError>
where
    B: Service<(), Response = Key, Error = AnyError>,
    B::Future: Send + 'static,
{
    let mut round = Round::default();
    let mut under_way = tokio::task::JoinSet::new();
    let mut sent = 0;
    while sent < requests || !under_way.is_empty() {
        if sent < requests && under_way.len() < CONCURRENCY {
            let response = balance.ready().await?.call(());
            under_way.spawn(response);
            sent += 1;
            continue;
        }
        match under_way.join_next().await {
            Some(Ok(Ok(key))) => *round.served.entry(key).or_default() += 1,
            Some(_) => round.failed += 1,
            None => {}
        }
    }
    Ok(round)
}

fn check(what: &str, is_so: bool) -> Result<(), AnyError> {
    println!("{} {what}", if is_so { "ok  " } else { "FAIL" });
    match is_so {
        true => Ok(()),
        false => Err(what.into()),
    }
}

async fn story() -> Result<(), AnyError> {
    let clock = Clock::monotonic();
    let tracker: IncarnationTracker<Key> = IncarnationTracker::builder().build()?;
    let (network, seen) = (Network::default(), Arc::new(Seen::default()));
    let mut servers: HashMap<Key, _> = HashMap::new();
    for key in 0..SERVERS {
        servers.insert(key, network.serve(key));
        let _ = tracker.confirm(&key, 1, clock.now());
    }
    let endpoints = Endpoints {
        tracker: tracker.clone(),
        changes: tracker.subscribe().into_stream(),
        known: HashMap::new(),
        next: VecDeque::new(),
        network: network.clone(),
        seen: seen.clone(),
    };
    let loads = PendingRequestsDiscover::new::<()>(endpoints, CompleteOnResponse::default());
    let mut balance = Balance::new(loads);
    let all_but = |without: Key| (0..SERVERS).filter(move |key| *key != without);

    let round = send(&mut balance, REQUESTS).await?;
    check(
        "all five servers take requests",
        round.are_served(0..SERVERS) && round.failed == 0,
    )?;

    let _ = tracker.update(&0, Claim::suspect(1), clock.now());
    let suspected = send(&mut balance, REQUESTS).await?;
    let _ = tracker.update(&0, Claim::alive(2), clock.now());
    let refuted = send(&mut balance, REQUESTS).await?;
    check(
        "a suspected server takes requests, and its refutation makes no new service",
        suspected.are_served(0..SERVERS) && refuted.are_served(0..SERVERS) && seen.made(0) == 1,
    )?;

    // Server 1 is killed. Requests fail until its death is known.
    if let Some(killed) = servers.remove(&1) {
        killed.abort();
        let _ = killed.await;
    }
    let killed = send(&mut balance, REQUESTS).await?;
    check(
        "requests to a killed server fail until its connection is seen to be broken",
        killed.failed > 0 && killed.are_served(all_but(1)),
    )?;
    let _ = tracker.update(&1, Claim::suspect(1), clock.now());
    let _ = tracker.update(&1, Claim::dead(1), clock.now());
    let dead = send(&mut balance, REQUESTS).await?;
    check(
        "none fails and none goes to it after its death is known",
        dead.failed == 0 && dead.are_served(all_but(1)),
    )?;

    servers.insert(1, network.serve(1));
    let again = tracker
        .required_incarnation(&1, clock.now())
        .ok_or("server 1 can't rejoin")?;
    let rejoined = tracker.rejoin(&1, again, clock.now()).accepted();
    let round = send(&mut balance, REQUESTS).await?;
    check(
        "it is restarted, rejoins, and takes requests by a new service",
        rejoined && round.are_served(0..SERVERS) && round.failed == 0 && seen.made(1) == 2,
    )?;

    // The connection to a server that leaves, or is declared dead while it runs, is whole: only the tracker tells.
    for claim in [Claim::left, Claim::dead] {
        let incarnation = tracker.get(&2).ok_or("unknown")?.incarnation;
        let _ = tracker.update(&2, claim(incarnation), clock.now());
        let gone = send(&mut balance, REQUESTS).await?;
        check(
            "a server that left or is declared dead takes no more requests, and none fails",
            gone.failed == 0 && gone.are_served(all_but(2)),
        )?;
        let again = tracker.required_incarnation(&2, clock.now());
        let _ = tracker.rejoin(&2, again.ok_or("server 2 can't rejoin")?, clock.now());
        let back = send(&mut balance, REQUESTS).await?;
        check(
            "it is served again once it rejoins",
            back.are_served(0..SERVERS),
        )?;
    }

    // Server 3 is restarted so quickly that nobody declares it dead.
    if let Some(killed) = servers.remove(&3) {
        killed.abort();
        let _ = killed.await;
    }
    servers.insert(3, network.serve(3));
    let broken = send(&mut balance, REQUESTS).await?;
    let same = tracker
        .update(&3, Claim::suspect(1), clock.now())
        .accepted();
    let still = send(&mut balance, REQUESTS).await?;
    check(
        "tower drops a service whose connection broke, and a suspicion at the same incarnation brings none back",
        same && broken.are_served(all_but(3)) && still.are_served(all_but(3)) && seen.made(3) == 1,
    )?;
    let _ = tracker.update(&3, Claim::alive(2), clock.now());
    let round = send(&mut balance, REQUESTS).await?;
    check(
        "its node's higher incarnation brings it back",
        round.are_served(0..SERVERS) && round.failed == 0 && seen.made(3) == 2,
    )?;

    // Server 4 begins a new lifetime at the incarnation it had.
    if let Some(killed) = servers.remove(&4) {
        killed.abort();
        let _ = killed.await;
    }
    servers.insert(4, network.serve(4));
    let _ = send(&mut balance, REQUESTS).await?;
    tracker.forget(&4);
    let forgotten = send(&mut balance, REQUESTS).await?;
    let _ = tracker.confirm(&4, 1, clock.now());
    let round = send(&mut balance, REQUESTS).await?;
    check(
        "a new lifetime of a node brings its service back at the incarnation it had",
        forgotten.are_served(all_but(4)) && round.are_served(0..SERVERS) && seen.made(4) == 2,
    )?;

    let to_the_dead = seen.to_the_dead.load(Ordering::Relaxed);
    check(
        &format!("{to_the_dead} requests went to a server whose death was known"),
        to_the_dead == 0,
    )
}

/// On one thread: so no death becomes known between the balancer's look at the members and the request.
fn run() -> Result<(), AnyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(story())
}

fn main() -> ExitCode {
    shared::only_help(include_str!("balance.rs"));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balance: {error}");
            ExitCode::FAILURE
        }
    }
}

#[test]
fn no_request_goes_to_a_dead_server_and_a_restarted_one_is_served_again() {
    run().unwrap();
}
