//! The tracker: the original's methods, and what goes beyond them.
//!
//! Each method reads its arguments, which runs no Python code, works on the table while it holds the
//! GIL, and makes its result. Nothing that runs Python code happens inside a table operation: nodes that
//! a sweep removed are collected first and handed to callbacks afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incarnation::{
    Claim, Incarnation, IncarnationTracker, LocalError, Rejection, Status, SweepScope, Timestamp,
    ToKey, Verdict as TableVerdict,
};
use pyo3::exceptions::{PyException, PyKeyError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

use crate::deaths::Deaths;
use crate::fork::detached;
use crate::key::{Key, NodeData, NodeRef, NotANode, items};
use crate::node_state::NodeState;
use crate::number::{self, GivenIncarnation, Integer, MAX_INCARNATION, MAX_INCARNATION_JUMP};
use crate::oldest_death::OldestDeath;
use crate::snapshot::Snapshot;
use crate::statics;
use crate::status;
use crate::subscriber::Subscriber;
use crate::verdict::{PyClaim, Verdict};

/// The Rust half of `incarnation.IncarnationTracker`.
#[pyclass(name = "Tracker", module = "incarnation", subclass, frozen, weakref)]
pub struct Tracker {
    pub table: IncarnationTracker<Key, NodeData>,
    /// Held while the own incarnation is raised, so that it never passes `MAX_INCARNATION`. This lock and
    /// the next two are held for a moment only, and never while Python code runs.
    raising: Mutex<()>,
    deaths: Mutex<Deaths>,
    hooks: Mutex<Hooks>,
    max_nodes: usize,
    /// The most nodes that need no eviction: `max_nodes`, or fewer if no other node could join then.
    enough: usize,
    dead_retention: Duration,
    oldest_death: OldestDeath,
    /// Whether nodes that are not dead expire, too.
    has_timeouts: bool,
    evictions: AtomicU64,
    cleanups: AtomicU64,
    /// Whether an object was ever attached to a node.
    has_data: AtomicBool,
}

/// The program's own functions.
#[derive(Default)]
struct Hooks {
    eviction: Option<Py<PyAny>>,
    clock: Option<Py<PyAny>>,
    node_data: Option<Py<PyAny>>,
    /// One for each sweeper.
    at_capacity: Vec<Py<PyAny>>,
}

/// What the original calls its answers, in the order of `Statics::freshness`.
#[derive(Clone, Copy)]
enum Freshness {
    Fresh,
    Duplicate,
    Stale,
    Invalid,
    Suspicious,
}

impl Freshness {
    fn of(verdict: TableVerdict) -> Self {
        match verdict {
            TableVerdict::Duplicate { .. } => Self::Duplicate,
            TableVerdict::Stale { .. } => Self::Stale,
            TableVerdict::Rejected(Rejection::OutOfRange { .. }) => Self::Invalid,
            TableVerdict::Rejected(Rejection::SuspiciousJump { .. }) => Self::Suspicious,
            // A suspicion of an UNCONFIRMED node is fresh to the original's check, and not applied.
            _ => Self::Fresh,
        }
    }

    fn to_python(self, py: Python<'_>) -> Py<PyAny> {
        statics::get().freshness[self as usize].clone_ref(py)
    }
}

/// A node that a sweep removed.
struct Removed {
    node: Key,
    last: incarnation::NodeState,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node argument of a call that stores it: anything that names no node is an error.
#[inline]
fn node_to_store<'a, 'py>(node: &'a Bound<'py, PyAny>) -> PyResult<NodeRef<'a, 'py>> {
    NodeRef::of(node.as_borrowed()).map_err(|reason| reason.error(node))
}

/// A node argument of a call that only looks: a hashable object that names no node is an unknown node, as
/// it is to a dict.
#[inline]
fn node_to_find<'a, 'py>(node: &'a Bound<'py, PyAny>) -> PyResult<Option<NodeRef<'a, 'py>>> {
    match NodeRef::of(node.as_borrowed()) {
        Ok(node) => Ok(Some(node)),
        Err(reason) => unknown_node(node, reason),
    }
}

#[cold]
fn unknown_node<'a, 'py>(
    node: &'a Bound<'py, PyAny>,
    reason: NotANode,
) -> PyResult<Option<NodeRef<'a, 'py>>> {
    match node.hash() {
        Ok(_) => Ok(None),
        Err(error) if error.is_instance_of::<PyTypeError>(node.py()) => Err(reason.error(node)),
        Err(error) => Err(error),
    }
}

/// Whether a node was refused for lack of room.
#[inline]
fn is_full(verdict: TableVerdict) -> bool {
    matches!(
        verdict,
        TableVerdict::Rejected(Rejection::AtCapacity | Rejection::PendingReclaim)
    )
}

/// Whether nodes of this status expire after the retention of dead nodes.
#[inline]
fn is_dead(status: Status) -> bool {
    matches!(status, Status::Dead | Status::Left)
}

/// The same where only the refusal counts.
const NOT_VALID: TableVerdict = TableVerdict::Rejected(Rejection::Unconfirmed);

/// The answer to a claim whose incarnation no message may carry. A negative one is no incarnation at all.
#[cold]
fn out_of_range(incarnation: GivenIncarnation) -> PyResult<TableVerdict> {
    let incarnation = match incarnation.0 {
        Integer::TooLarge => u64::MAX,
        _ => incarnation.storable("incarnation")?,
    };
    Ok(TableVerdict::Rejected(Rejection::OutOfRange {
        incarnation: incarnation.into(),
        max: MAX_INCARNATION.into(),
    }))
}

/// A claim as the original's methods take it.
#[inline]
fn validated(
    status: Status,
    incarnation: GivenIncarnation,
    validate: bool,
) -> PyResult<Option<Claim>> {
    if validate {
        return Ok(incarnation.valid().map(|number| Claim::new(status, number)));
    }
    let number = incarnation.storable("incarnation")?;
    Ok(Some(Claim::new(status, number).trusted()))
}

impl Tracker {
    /// The time by the caller's clock, or by `time.monotonic`.
    fn now(&self, py: Python<'_>) -> PyResult<Timestamp> {
        let clock = {
            let hooks = lock(&self.hooks);
            hooks.clock.as_ref().map(|clock| clock.clone_ref(py))
        };
        let now = match clock {
            Some(clock) => clock.bind(py).call0()?,
            // By its name each time: programs' tests replace it.
            None => py
                .import(&statics::get().time)?
                .call_method0(&statics::get().monotonic)?,
        };
        number::time(&now, "the clock's time")
    }

    fn time_or_now(&self, py: Python<'_>, time: Option<&Bound<'_, PyAny>>) -> PyResult<Timestamp> {
        match time {
            Some(time) => number::time(time, "timestamp"),
            None => self.now(py),
        }
    }

    /// Puts a claim to the table; calls for a sweep if it was refused for lack of room.
    #[inline]
    fn put(
        &self,
        node: &Bound<'_, PyAny>,
        named: NodeRef<'_, '_>,
        claim: Claim,
        now: Timestamp,
    ) -> TableVerdict {
        let verdict = self.table.update(&named, claim, now);
        self.note_death(claim, verdict, now);
        self.noted(node.py(), verdict)
    }

    #[inline]
    fn noted(&self, py: Python<'_>, verdict: TableVerdict) -> TableVerdict {
        if is_full(verdict) {
            self.call_for_a_sweep(py);
        }
        verdict
    }

    /// After a claim: if it may have left its node dead, the next cleanups look out for that node.
    #[inline]
    fn note_death(&self, claim: Claim, verdict: TableVerdict, now: Timestamp) {
        if is_dead(claim.status()) && verdict.accepted() {
            self.oldest_death.note(now);
        }
    }

    #[cold]
    fn call_for_a_sweep(&self, py: Python<'_>) {
        let hooks: Vec<_> = {
            let hooks = lock(&self.hooks);
            hooks
                .at_capacity
                .iter()
                .map(|hook| hook.clone_ref(py))
                .collect()
        };
        for hook in hooks {
            if let Err(error) = hook.bind(py).call0() {
                error.write_unraisable(py, Some(hook.bind(py)));
            }
        }
    }

    #[inline]
    fn find(&self, node: &Bound<'_, PyAny>) -> PyResult<Option<incarnation::NodeState>> {
        Ok(node_to_find(node)?.and_then(|node| self.table.get(&node)))
    }

    fn has(
        &self,
        node: &Bound<'_, PyAny>,
        is: impl FnOnce(incarnation::NodeState) -> bool,
    ) -> PyResult<bool> {
        Ok(self.find(node)?.is_some_and(is))
    }

    fn judged(
        &self,
        node: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        validate: bool,
    ) -> PyResult<Freshness> {
        let incarnation = number::incarnation(incarnation, "incarnation")?;
        let status = status::of_python(status, "status")?;
        let Some(claim) = validated(status, incarnation, validate)? else {
            return Ok(Freshness::Invalid);
        };
        let Some(node) = node_to_find(node)? else {
            return Ok(Freshness::Fresh);
        };
        Ok(Freshness::of(self.table.judge(
            &node,
            claim,
            Timestamp::ZERO,
        )))
    }

    /// Whether a sweep would find nothing to do: no node is too old, and there are not too many. A few
    /// loads instead of a walk over all nodes.
    fn is_clean(&self, scope: SweepScope, now: Timestamp) -> bool {
        let none_expires =
            || !self.has_timeouts && !self.oldest_death.is_due(now, self.dead_retention);
        let none_excess = || self.table.len() <= self.enough;
        match scope {
            SweepScope::Capacity => none_excess(),
            SweepScope::Expiry => none_expires(),
            _ => none_expires() && none_excess(),
        }
    }

    /// A sweep of the table. The next cleanups know the oldest dead node that it leaves.
    fn sweep_table(
        &self,
        scope: SweepScope,
        now: Timestamp,
        on_swept: impl FnMut(incarnation::Swept<'_, Key, NodeData>),
    ) -> incarnation::SweepReport {
        if scope == SweepScope::Capacity || self.has_timeouts {
            return self.table.sweep_with(scope, now, on_swept);
        }
        let sweep = self.oldest_death.begin_sweep();
        let report = self.table.sweep_with(scope, now, on_swept);
        self.table.with(|view| {
            let dead = view.iter().filter(|(_, state)| is_dead(state.status));
            sweep.end(dead.map(|(_, state)| state.last_update));
        });
        report
    }

    /// Sweeps without the GIL, and tells the eviction callback.
    fn sweep_scope(&self, py: Python<'_>, scope: SweepScope) -> PyResult<(usize, usize)> {
        let now = self.now(py)?;
        if self.is_clean(scope, now) {
            return Ok((0, 0));
        }
        let wanted = lock(&self.hooks).eviction.is_some();
        let (expired, excess, removed) = detached(py, || {
            let mut removed = Vec::new();
            let report = self.sweep_table(scope, now, |swept| {
                if wanted && swept.reason != incarnation::SweepReason::SuspectExpired {
                    removed.push(Removed {
                        node: swept.node.clone(),
                        last: swept.last,
                    });
                }
            });
            let expired = report.dead_evicted + report.unconfirmed_expired;
            (expired, report.capacity_evicted, removed)
        });
        // Relaxed, as all the counters here: numbers for people.
        self.evictions.fetch_add(excess as u64, Ordering::Relaxed);
        self.cleanups.fetch_add(expired as u64, Ordering::Relaxed);
        self.tell(py, removed)?;
        Ok((expired, excess))
    }

    /// Hands removed nodes to the eviction callback. An exception is reported as Python reports those that
    /// nobody can catch, and the next node's call follows; one that ends the program (KeyboardInterrupt,
    /// SystemExit) propagates when all nodes were told of.
    fn tell(&self, py: Python<'_>, removed: Vec<Removed>) -> PyResult<()> {
        let callback = {
            let hooks = lock(&self.hooks);
            hooks.eviction.as_ref().map(|hook| hook.clone_ref(py))
        };
        let Some(callback) = callback else {
            return Ok(());
        };
        let callback = callback.bind(py);
        let mut ending = None;
        for Removed { node, last } in removed {
            let arguments = (node.tuple(py)?.clone_ref(py), NodeState::of(last));
            match callback.call1(arguments) {
                Ok(_) => {}
                Err(error) if error.is_instance_of::<PyException>(py) || ending.is_some() => {
                    error.write_unraisable(py, Some(callback));
                }
                Err(error) => ending = Some(error),
            }
        }
        ending.map_or(Ok(()), Err)
    }

    /// The tuples of the nodes whose state `is` so.
    fn tuples<'py>(
        &self,
        py: Python<'py>,
        mut is: impl FnMut(incarnation::NodeState) -> bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut tuples: Vec<Py<PyAny>> = Vec::new();
        let mut failed = None;
        self.table.with(|view| {
            view.iter()
                .filter(|(_, state)| is(*state))
                .for_each(|(key, _)| match key.tuple(py) {
                    Ok(tuple) => tuples.push(tuple.clone_ref(py).into_any()),
                    Err(error) => failed = Some(error),
                });
        });
        match failed {
            Some(error) => Err(error),
            None => new_list(py, tuples.len(), |each| {
                tuples.into_iter().for_each(each);
                Ok(())
            }),
        }
    }

    /// All nodes with their states.
    fn rows(&self) -> Vec<(Key, incarnation::NodeState)> {
        let mut rows = Vec::with_capacity(self.table.len());
        self.table.with(|view| {
            view.iter()
                .for_each(|(key, state)| rows.push((key.clone(), state)));
        });
        rows
    }
}

fn local_error(error: LocalError) -> PyErr {
    match error {
        LocalError::Exhausted { .. } => overflow(),
        error => PyValueError::new_err(error.to_string()),
    }
}

fn overflow() -> PyErr {
    PyOverflowError::new_err(format!(
        "the own incarnation is at MAX_INCARNATION ({MAX_INCARNATION}), the highest there is"
    ))
}

/// A list that `fill` fills, with room for `expected` objects from the start.
fn new_list<'py>(
    py: Python<'py>,
    expected: usize,
    fill: impl FnOnce(&mut dyn FnMut(Py<PyAny>)) -> PyResult<()>,
) -> PyResult<Bound<'py, PyList>> {
    let room = ffi::Py_ssize_t::try_from(expected)?;
    // SAFETY: attached. Nobody else sees the list before it is whole.
    let list: Bound<'py, PyList> =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(room))?.cast_into_unchecked() };
    let mut filled = 0;
    let mut more = Vec::new();
    let result = fill(&mut |object| {
        if filled < room {
            // SAFETY: a place within the list, set once; the list takes over the reference.
            unsafe { ffi::PyList_SetItem(list.as_ptr(), filled, object.into_ptr()) };
            filled += 1;
        } else {
            more.push(object);
        }
    });
    if filled < room {
        // SAFETY: cuts off the places that were not set, which the interpreter allows to be empty here.
        unsafe { ffi::PyList_SetSlice(list.as_ptr(), filled, room, std::ptr::null_mut()) };
    }
    result?;
    for object in more {
        list.append(object)?;
    }
    Ok(list)
}

/// Tracks the status and the incarnation of every node of a cluster.
#[pymethods]
impl Tracker {
    #[new]
    #[pyo3(signature = (
        self_incarnation = None,
        node_states = None,
        max_nodes = None,
        dead_node_retention_seconds = None,
        zombie_detection_window_seconds = None,
        minimum_rejoin_incarnation_bump = None,
        *,
        hard_limit = None,
        eviction_headroom = None,
        max_death_records = None,
        self_node = None,
        suspect_timeout_seconds = None,
        unconfirmed_timeout_seconds = None,
        clock = None,
        node_data = None,
    ), text_signature = "(self_incarnation=None, node_states=None, max_nodes=10000, \
        dead_node_retention_seconds=None, zombie_detection_window_seconds=None, \
        minimum_rejoin_incarnation_bump=5, *, hard_limit=None, eviction_headroom=100, max_death_records=None, \
        self_node=None, suspect_timeout_seconds=None, unconfirmed_timeout_seconds=None, clock=None, \
        node_data=None)")]
    #[allow(
        clippy::too_many_arguments,
        reason = "the original's parameters, and options by keyword"
    )]
    fn new(
        py: Python<'_>,
        self_incarnation: Option<&Bound<'_, PyAny>>,
        node_states: Option<&Bound<'_, PyAny>>,
        max_nodes: Option<&Bound<'_, PyAny>>,
        dead_node_retention_seconds: Option<&Bound<'_, PyAny>>,
        zombie_detection_window_seconds: Option<&Bound<'_, PyAny>>,
        minimum_rejoin_incarnation_bump: Option<&Bound<'_, PyAny>>,
        hard_limit: Option<&Bound<'_, PyAny>>,
        eviction_headroom: Option<&Bound<'_, PyAny>>,
        max_death_records: Option<&Bound<'_, PyAny>>,
        self_node: Option<&Bound<'_, PyAny>>,
        suspect_timeout_seconds: Option<&Bound<'_, PyAny>>,
        unconfirmed_timeout_seconds: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        node_data: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        // More than any table holds, where a number does not fit.
        let count = |number, argument: &str| {
            let number = number::count(number, argument)?;
            Ok::<_, PyErr>(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        let max_nodes = count(max_nodes, "max_nodes")?.unwrap_or(10_000);
        let hard_limit = count(hard_limit, "hard_limit")?;
        let eviction_headroom = count(eviction_headroom, "eviction_headroom")?.unwrap_or(100);
        let max_death_records = count(max_death_records, "max_death_records")?;
        let minimum_rejoin_incarnation_bump = number::count(
            minimum_rejoin_incarnation_bump,
            "minimum_rejoin_incarnation_bump",
        )?
        .unwrap_or(5);
        let clock = function(clock, "clock")?;
        let node_data = function(node_data, "node_data")?;
        let span = |seconds: Option<&Bound<'_, PyAny>>, argument: &str| {
            seconds
                .map(|seconds| number::duration(seconds, argument))
                .transpose()
        };
        let retention = span(dead_node_retention_seconds, "dead_node_retention_seconds")?
            .unwrap_or(Duration::from_secs(3600));
        let window = span(
            zombie_detection_window_seconds,
            "zombie_detection_window_seconds",
        )?
        .unwrap_or(Duration::from_secs(60));
        let own = match self_incarnation {
            None => 0,
            Some(number) => own_incarnation(number)?,
        };
        let hard_limit =
            hard_limit.unwrap_or_else(|| max_nodes.saturating_mul(4).saturating_add(1024));
        let mut builder = IncarnationTracker::<Key>::builder()
            .max_nodes(max_nodes)
            .hard_limit(hard_limit)
            .eviction_headroom(eviction_headroom)
            .evict_alive(true)
            .dead_retention(retention)
            .unconfirmed_timeout(span(
                unconfirmed_timeout_seconds,
                "unconfirmed_timeout_seconds",
            )?)
            .suspect_timeout(span(suspect_timeout_seconds, "suspect_timeout_seconds")?)
            .max_tombstones(0)
            // As in the original, a time stays as the caller told it.
            .max_clock_lead(None)
            // Messages are checked against MAX_INCARNATION here; calls that do not validate may go beyond.
            .max_incarnation(Incarnation::MAX)
            .max_incarnation_jump(MAX_INCARNATION_JUMP)
            .min_rejoin_bump(MAX_INCARNATION_JUMP.min(minimum_rejoin_incarnation_bump))
            .local_incarnation(own)
            .data_with(|_| NodeData::default());
        if let Some(node) = self_node {
            builder = builder.local_node(node_to_store(node)?.to_key());
        }
        let tracker = Self {
            table: builder
                .build()
                .map_err(|error| PyValueError::new_err(error.to_string()))?,
            raising: Mutex::new(()),
            deaths: Mutex::new(Deaths::new(
                max_death_records.unwrap_or(hard_limit).max(1),
                window,
                minimum_rejoin_incarnation_bump,
            )),
            hooks: Mutex::new(Hooks {
                clock,
                node_data,
                ..Hooks::default()
            }),
            max_nodes,
            enough: max_nodes.min(hard_limit.saturating_sub(1)),
            dead_retention: retention,
            oldest_death: OldestDeath::new(),
            has_timeouts: suspect_timeout_seconds.is_some()
                || unconfirmed_timeout_seconds.is_some(),
            evictions: AtomicU64::new(0),
            cleanups: AtomicU64::new(0),
            has_data: AtomicBool::new(false),
        };
        if let Some(states) = node_states {
            tracker.adopt(py, states)?;
        }
        Ok(tracker)
    }

    /// Takes over the nodes of a mapping of node to NodeState.
    fn adopt(&self, py: Python<'_>, states: &Bound<'_, PyAny>) -> PyResult<()> {
        if !states.hasattr("items")? {
            return Err(PyTypeError::new_err(format!(
                "node_states must be a mapping of node to NodeState, got {}",
                number::type_name(states)
            )));
        }
        for row in states.call_method0("items")?.try_iter()? {
            let (node, state): (Bound<'_, PyAny>, Bound<'_, PyAny>) = row?.extract()?;
            let Ok(state) = state.cast::<NodeState>() else {
                return Err(PyTypeError::new_err(format!(
                    "the values of node_states must be NodeState, got {}",
                    number::type_name(&state)
                )));
            };
            let (claim, time) = state.get().claim();
            let time = time.into_pyobject(py)?;
            let time = number::time(&time, "last_update_time")?;
            let verdict = self.put(&node, node_to_store(&node)?, claim.trusted(), time);
            if let TableVerdict::Rejected(reason) = verdict {
                return Err(PyValueError::new_err(format!(
                    "node_states can't be taken over: {reason}"
                )));
            }
        }
        Ok(())
    }

    /// Takes over what a message says of a node, if it is news. Returns whether it was.
    #[pyo3(signature = (node, status, incarnation, timestamp, validate = true))]
    fn update_node(
        &self,
        node: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        timestamp: &Bound<'_, PyAny>,
        validate: bool,
    ) -> PyResult<bool> {
        let named = node_to_store(node)?;
        let status = status::of_python(status, "status")?;
        let incarnation = number::incarnation(incarnation, "incarnation")?;
        let now = number::time(timestamp, "timestamp")?;
        Ok(match validated(status, incarnation, validate)? {
            Some(claim) => self.put(node, named, claim, now).accepted(),
            None => false,
        })
    }

    /// Puts a claim to the tracker; the verdict says what became of it, and why.
    ///
    /// `now` is in seconds, by default the time of the tracker's clock. A trusted claim is exempt from
    /// the checks that guard against invented incarnations.
    #[pyo3(signature = (node, status, incarnation, now = None, *, trusted = false))]
    fn update(
        &self,
        node: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        now: Option<&Bound<'_, PyAny>>,
        trusted: bool,
    ) -> PyResult<Verdict> {
        let named = node_to_store(node)?;
        let status = status::of_python(status, "status")?;
        let incarnation = number::incarnation(incarnation, "incarnation")?;
        let now = match now {
            Some(now) => number::time(now, "now")?,
            None => self.now(node.py())?,
        };
        Ok(Verdict(match validated(status, incarnation, !trusted)? {
            Some(claim) => self.put(node, named, claim, now),
            None => out_of_range(incarnation)?,
        }))
    }

    /// As `update`, for what others say of a node: it introduces a node, as UNCONFIRMED, and says
    /// nothing more of it until `confirm_node` did.
    #[pyo3(signature = (node, status, incarnation, now = None))]
    fn hear(
        &self,
        node: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        now: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Verdict> {
        let named = node_to_store(node)?;
        let status = status::of_python(status, "status")?;
        let incarnation = number::incarnation(incarnation, "incarnation")?;
        let now = self.time_or_now(node.py(), now)?;
        Ok(Verdict(match validated(status, incarnation, true)? {
            Some(claim) => {
                let verdict = self.table.hear(&named, claim, now);
                self.note_death(claim, verdict, now);
                self.noted(node.py(), verdict)
            }
            None => out_of_range(incarnation)?,
        }))
    }

    /// What `update` would answer. Changes nothing.
    #[pyo3(signature = (node, status, incarnation, *, trusted = false))]
    fn judge(
        &self,
        node: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        trusted: bool,
    ) -> PyResult<Verdict> {
        let named = node_to_store(node)?;
        let status = status::of_python(status, "status")?;
        let incarnation = number::incarnation(incarnation, "incarnation")?;
        Ok(Verdict(match validated(status, incarnation, !trusted)? {
            Some(claim) => self.table.judge(&named, claim, Timestamp::ZERO),
            None => out_of_range(incarnation)?,
        }))
    }

    /// Puts many claims to the tracker, in order: an iterable of (node, status, incarnation).
    ///
    /// Returns a list of bools, whether each was accepted; with `verdicts=True` a list of verdicts. If
    /// one of them is malformed, none is applied.
    #[pyo3(signature = (claims, now = None, *, validate = true, verdicts = false))]
    fn update_many<'py>(
        &self,
        py: Python<'py>,
        claims: &Bound<'py, PyAny>,
        now: Option<&Bound<'py, PyAny>>,
        validate: bool,
        verdicts: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        // Immutable, so that what is read from it stays valid.
        let claims = match claims.cast::<PyTuple>() {
            Ok(claims) => claims.clone(),
            Err(_) => match claims.cast::<PyList>() {
                Ok(claims) => claims.to_tuple(),
                Err(_) => PyTuple::new(py, claims.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
            },
        };
        let now = match now {
            Some(now) => number::time(now, "now")?,
            None => self.now(py)?,
        };
        let mut packet: Vec<(NodeRef<'_, 'py>, Result<Claim, TableVerdict>)> =
            Vec::with_capacity(claims.len());
        for (number, claim) in claims.iter_borrowed().enumerate() {
            let named = |error: PyErr| in_claim(py, error, number);
            let Ok(parts) = claim.cast::<PyTuple>() else {
                return Err(not_a_claim(&claim, number));
            };
            let Ok([node, status, incarnation]) = items(parts) else {
                return Err(not_a_claim(&claim, number));
            };
            let incarnation = number::incarnation(&incarnation, "incarnation").map_err(named)?;
            let status = status::of_python(&status, "status").map_err(named)?;
            let node = NodeRef::of(node).map_err(|reason| named(reason.error(&node)))?;
            let claim = match validated(status, incarnation, validate).map_err(named)? {
                Some(claim) => Ok(claim),
                None if verdicts => Err(out_of_range(incarnation).map_err(named)?),
                None => Err(NOT_VALID),
            };
            packet.push((node, claim));
        }
        let (mut full, mut died) = (false, false);
        let mut answers: Vec<TableVerdict> = Vec::with_capacity(packet.len());
        self.table.with(|view| {
            for (node, claim) in packet {
                let verdict = match claim {
                    Ok(claim) => {
                        died |= is_dead(claim.status());
                        view.update(&node, claim, now)
                    }
                    Err(verdict) => verdict,
                };
                full |= is_full(verdict);
                answers.push(verdict);
            }
        });
        if died {
            self.oldest_death.note(now);
        }
        if full {
            self.call_for_a_sweep(py);
        }
        if verdicts {
            return PyList::new(py, answers.into_iter().map(Verdict));
        }
        new_list(py, answers.len(), |each| {
            for verdict in answers {
                each(
                    PyBool::new(py, verdict.accepted())
                        .to_owned()
                        .into_any()
                        .unbind(),
                );
            }
            Ok(())
        })
    }

    /// What a message is to this tracker. Changes nothing.
    #[pyo3(signature = (node, incarnation, status, validate = true))]
    fn check_message_freshness(
        &self,
        node: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        validate: bool,
    ) -> PyResult<Py<PyAny>> {
        let judged = self.judged(node, incarnation, status, validate)?;
        Ok(judged.to_python(node.py()))
    }

    /// Whether a message is FRESH to this tracker. Changes nothing.
    #[pyo3(signature = (node, incarnation, status, validate = true))]
    fn is_message_fresh(
        &self,
        node: &Bound<'_, PyAny>,
        incarnation: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        validate: bool,
    ) -> PyResult<bool> {
        let freshness = self.judged(node, incarnation, status, validate)?;
        Ok(matches!(freshness, Freshness::Fresh))
    }

    /// A copy of a node's state; None if the node is unknown.
    #[pyo3(signature = (node))]
    fn get_node_state(&self, node: &Bound<'_, PyAny>) -> PyResult<Option<NodeState>> {
        Ok(self.find(node)?.map(NodeState::of))
    }

    /// A node's incarnation; 0 if the node is unknown.
    #[pyo3(signature = (node))]
    fn get_node_incarnation(&self, node: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(self.find(node)?.map_or(0, |state| state.incarnation.get()))
    }

    /// Enters a node that was heard of, as UNCONFIRMED. Returns whether it was unknown.
    #[pyo3(signature = (node, timestamp = None))]
    fn add_unconfirmed_node(
        &self,
        node: &Bound<'_, PyAny>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = node.py();
        let named = node_to_store(node)?;
        let now = self.time_or_now(py, timestamp)?;
        let verdict = self.table.add_unconfirmed(&named, now);
        Ok(self.noted(py, verdict).accepted())
    }

    /// First-hand contact with a node: an unknown or UNCONFIRMED node becomes OK, and the answer is
    /// True. Any other node keeps its status, takes over a higher incarnation, and the answer is False.
    #[pyo3(signature = (node, incarnation = None, timestamp = None))]
    fn confirm_node(
        &self,
        node: &Bound<'_, PyAny>,
        incarnation: Option<&Bound<'_, PyAny>>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = node.py();
        let named = node_to_store(node)?;
        let incarnation = match incarnation {
            None => 0,
            Some(number) => number::incarnation(number, "incarnation")?.storable("incarnation")?,
        };
        let now = self.time_or_now(py, timestamp)?;
        loop {
            let confirmed = match self.table.get(&named) {
                Some(state) if state.status != Status::Unconfirmed => {
                    if incarnation <= state.incarnation.get() {
                        return Ok(false);
                    }
                    let claim = Claim::new(state.status, incarnation).trusted();
                    let verdict = self.table.update(&named, claim, now);
                    self.note_death(claim, verdict, now);
                    match verdict {
                        // The state moved since it was read: its status is to be kept.
                        TableVerdict::Applied { previous } if previous.status() != state.status => {
                            continue;
                        }
                        // The node left the table since it was read.
                        TableVerdict::Joined => continue,
                        _ => return Ok(false),
                    }
                }
                _ => self.table.confirm(&named, incarnation, now),
            };
            match self.noted(py, confirmed) {
                TableVerdict::Joined => return Ok(true),
                TableVerdict::Applied { previous } if previous.status() == Status::Unconfirmed => {
                    return Ok(true);
                }
                TableVerdict::Applied { .. }
                | TableVerdict::Duplicate { .. }
                | TableVerdict::Stale { .. } => {}
                _ => return Ok(false),
            }
        }
    }

    /// Takes a node out. Returns whether it was known.
    #[pyo3(signature = (node))]
    fn remove_node(&self, node: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(node) = node_to_find(node)? else {
            return Ok(false);
        };
        Ok(self.table.remove(&node, Timestamp::ZERO).is_some())
    }

    /// Whether a node is known and not UNCONFIRMED.
    #[pyo3(signature = (node))]
    fn is_node_confirmed(&self, node: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.has(node, |state| state.status != Status::Unconfirmed)
    }

    /// Whether a node is known and UNCONFIRMED.
    #[pyo3(signature = (node))]
    fn is_node_unconfirmed(&self, node: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.has(node, |state| state.status == Status::Unconfirmed)
    }

    /// Whether a failure detector may suspect a node: it is OK or SUSPECT.
    #[pyo3(signature = (node))]
    fn can_suspect_node(&self, node: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.has(node, |state| {
            matches!(state.status, Status::Alive | Status::Suspect)
        })
    }

    /// All nodes with copies of their states: a list of (node, NodeState).
    fn get_all_nodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = self.rows();
        new_list(py, rows.len(), |each| {
            for (node, state) in rows {
                let row = (node.tuple(py)?.clone_ref(py), NodeState::of(state));
                each(row.into_pyobject(py)?.into_any().unbind());
            }
            Ok(())
        })
    }

    /// The nodes of one status.
    #[pyo3(signature = (status))]
    fn get_nodes_by_state<'py>(&self, status: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let wanted = status::of_python(status, "status")?;
        self.tuples(status.py(), |state| state.status == wanted)
    }

    /// The UNCONFIRMED nodes.
    fn get_unconfirmed_nodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.tuples(py, |state| state.status == Status::Unconfirmed)
    }

    /// Whether a message may carry this incarnation: 0 to MAX_INCARNATION.
    #[pyo3(signature = (incarnation))]
    fn is_valid_incarnation(&self, incarnation: &Bound<'_, PyAny>) -> PyResult<bool> {
        let number = number::incarnation(incarnation, "incarnation")?;
        Ok(number.valid().is_some())
    }

    /// Whether an incarnation is more than MAX_INCARNATION_JUMP above the known one of a node.
    #[pyo3(signature = (node, new_incarnation))]
    fn is_suspicious_jump(
        &self,
        node: &Bound<'_, PyAny>,
        new_incarnation: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let number = number::incarnation(new_incarnation, "new_incarnation")?;
        let Some(state) = self.find(node)? else {
            return Ok(false);
        };
        let limit = i128::from(state.incarnation.get()) + i128::from(MAX_INCARNATION_JUMP);
        Ok(wide(number) > limit)
    }

    /// The own incarnation.
    fn get_self_incarnation(&self) -> u64 {
        self.table.local().current().get()
    }

    /// Raises the own incarnation by one and returns it. OverflowError at MAX_INCARNATION.
    fn increment_self_incarnation(&self) -> PyResult<u64> {
        let _raising = lock(&self.raising);
        let local = self.table.local();
        if local.current().get() >= MAX_INCARNATION {
            return Err(overflow());
        }
        Ok(local.refute(0).map_err(local_error)?.get())
    }

    /// The own incarnation. Assigning a higher one raises it; it never falls.
    #[getter(self_incarnation)]
    fn get_self_incarnation_attribute(&self) -> u64 {
        self.table.local().current().get()
    }

    #[setter(self_incarnation)]
    fn set_self_incarnation(&self, incarnation: &Bound<'_, PyAny>) -> PyResult<()> {
        let target = own_incarnation(incarnation)?;
        let own = self.table.local().current().get();
        if target < own {
            return Err(PyValueError::new_err(format!(
                "self_incarnation never falls: it is {own}, and {target} was assigned"
            )));
        }
        let _raising = lock(&self.raising);
        self.table.local().advance_to(target).map_err(local_error)?;
        Ok(())
    }

    /// Answers what somebody said of this node: (status, incarnation), as in `Verdict.accused`. Returns
    /// the incarnation to announce, or None if it needs no answer.
    #[pyo3(signature = (accused))]
    fn answer(&self, accused: (Bound<'_, PyAny>, Bound<'_, PyAny>)) -> PyResult<Option<u64>> {
        let status = status::of_python(&accused.0, "accused")?;
        let incarnation = own_incarnation(&accused.1)?;
        let _raising = lock(&self.raising);
        let local = self.table.local();
        let own = local.current().get();
        if (incarnation, status) > (own, Status::Alive) && own.max(incarnation) >= MAX_INCARNATION {
            return Err(overflow());
        }
        let answer = local.answer(Claim::new(status, incarnation));
        let answer = answer.map_err(local_error)?;
        Ok(answer.incarnation().map(Incarnation::get))
    }

    /// The node that the tracker's program is, if it was named.
    #[getter]
    fn self_node(&self, py: Python<'_>) -> PyResult<Option<Py<PyTuple>>> {
        let node = self.table.local_node();
        node.map(|key| Ok(key.tuple(py)?.clone_ref(py))).transpose()
    }

    /// Sets the function that is called with (node, last state) for each node that a cleanup removes.
    #[pyo3(signature = (callback))]
    fn set_eviction_callback(&self, callback: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut lock(&self.hooks).eviction, callback);
        drop(before);
    }

    /// Has a function called whenever a node is refused for lack of room.
    fn _add_at_capacity(&self, hook: Py<PyAny>) {
        lock(&self.hooks).at_capacity.push(hook);
    }

    fn _remove_at_capacity(&self, hook: &Bound<'_, PyAny>) {
        let removed = {
            let mut hooks = lock(&self.hooks);
            let place = hooks.at_capacity.iter().position(|one| one.is(hook));
            place.map(|place| hooks.at_capacity.swap_remove(place))
        };
        drop(removed);
    }

    /// Removes the DEAD nodes past their retention. Returns how many.
    fn cleanup_dead_nodes(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.sweep_scope(py, SweepScope::Expiry)?.0)
    }

    /// If there are more than max_nodes, evicts the excess and the headroom: UNCONFIRMED first, then
    /// DEAD, SUSPECT, OK, the oldest first. Returns how many.
    fn evict_if_needed(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.sweep_scope(py, SweepScope::Capacity)?.1)
    }

    /// `cleanup_dead_nodes`, then `evict_if_needed`.
    fn cleanup<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dead_removed, evicted) = self.sweep_scope(py, SweepScope::Everything)?;
        let report = PyDict::new(py);
        report.set_item("dead_removed", dead_removed)?;
        report.set_item("evicted", evicted)?;
        report.set_item("total_nodes", self.table.len())?;
        Ok(report)
    }

    /// Numbers about the tracker.
    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.table.counts();
        let (rejections, records) = {
            let deaths = lock(&self.deaths);
            (deaths.rejections(), deaths.len())
        };
        let stats = PyDict::new(py);
        stats.set_item("total_nodes", self.table.len())?;
        stats.set_item("unconfirmed_nodes", counts.unconfirmed)?;
        stats.set_item("ok_nodes", counts.alive)?;
        stats.set_item("suspect_nodes", counts.suspect)?;
        stats.set_item("dead_nodes", counts.dead)?;
        let evictions = self.evictions.load(Ordering::Relaxed);
        stats.set_item("total_evictions", evictions)?;
        let cleanups = self.cleanups.load(Ordering::Relaxed);
        stats.set_item("total_cleanups", cleanups)?;
        stats.set_item("zombie_rejections", rejections)?;
        stats.set_item("active_death_records", records)?;
        Ok(stats)
    }

    /// Records that a node died at an incarnation.
    #[pyo3(signature = (node, incarnation_at_death, timestamp = None))]
    fn record_node_death(
        &self,
        node: &Bound<'_, PyAny>,
        incarnation_at_death: &Bound<'_, PyAny>,
        timestamp: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let named = node_to_store(node)?;
        let incarnation = number::incarnation(incarnation_at_death, "incarnation_at_death")?
            .storable("incarnation_at_death")?;
        let at = self.time_or_now(node.py(), timestamp)?;
        let removed = lock(&self.deaths).record(&named, incarnation, at);
        drop(removed);
        Ok(())
    }

    /// Forgets a node's death.
    #[pyo3(signature = (node))]
    fn clear_death_record(&self, node: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(node) = node_to_find(node)? {
            let removed = lock(&self.deaths).clear(&node);
            drop(removed);
        }
        Ok(())
    }

    /// Whether a node that claims this incarnation died too recently to come back at it.
    #[pyo3(signature = (node, claimed_incarnation))]
    fn is_potential_zombie(
        &self,
        node: &Bound<'_, PyAny>,
        claimed_incarnation: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let claimed = number::incarnation(claimed_incarnation, "claimed_incarnation")?;
        let Some(named) = node_to_find(node)? else {
            return Ok(false);
        };
        let now = self.now(node.py())?;
        let (is_zombie, removed) = lock(&self.deaths).is_zombie(&named, wide(claimed), now);
        drop(removed);
        Ok(is_zombie)
    }

    /// The incarnation that a node needs to come back after its death; 0 if any will do.
    #[pyo3(signature = (node))]
    fn get_required_rejoin_incarnation(&self, node: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(node_to_find(node)?.map_or(0, |node| lock(&self.deaths).required(&node)))
    }

    /// Forgets the deaths past the zombie window. Returns how many.
    fn cleanup_death_records(&self, py: Python<'_>) -> PyResult<usize> {
        let now = self.now(py)?;
        let removed = lock(&self.deaths).expire(now);
        Ok(removed.len())
    }

    /// The object attached to a node, or the default if there is none. If the tracker was made with
    /// `node_data`, that makes the object of a known node at the first call.
    #[pyo3(signature = (node, default = None))]
    fn get_data(
        &self,
        node: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let py = node.py();
        let Some(named) = node_to_find(node)? else {
            return Ok(default);
        };
        let Some(data) = self
            .table
            .with(|view| Some(view.find(&named)?.data().get(py)))
        else {
            return Ok(default);
        };
        let make = {
            let hooks = lock(&self.hooks);
            hooks.node_data.as_ref().map(|make| make.clone_ref(py))
        };
        let (None, Some(make)) = (&data, make) else {
            return Ok(data.or(default));
        };
        let made = make.bind(py).call1((node,))?.unbind();
        self.has_data.store(true, Ordering::Relaxed);
        let data = self
            .table
            .with(|view| Some(view.find(&named)?.data().get_or_set(py, &made)));
        Ok(data.or(default))
    }

    /// Attaches an object to a node for as long as the node is in the tracker. KeyError if it is unknown.
    #[pyo3(signature = (node, data))]
    fn set_data(&self, node: &Bound<'_, PyAny>, data: Py<PyAny>) -> PyResult<()> {
        let named = node_to_find(node)?;
        self.has_data.store(true, Ordering::Relaxed);
        let mut data = (!data.is_none(node.py())).then_some(data);
        let before = named.and_then(|named| {
            self.table
                .with(|view| Some(view.find(&named)?.data().replace(data.take())))
        });
        match before {
            // Dropped here, outside of the view: its finalizer is Python code.
            Some(before) => drop(before),
            None => return Err(PyKeyError::new_err(node.clone().unbind())),
        }
        Ok(())
    }

    /// What the tracker knows now, as an object of its own: see Snapshot.
    #[pyo3(signature = (now = None))]
    fn snapshot(&self, py: Python<'_>, now: Option<&Bound<'_, PyAny>>) -> PyResult<Snapshot> {
        let now = self.time_or_now(py, now)?;
        Ok(Snapshot(detached(py, || self.table.snapshot(now))))
    }

    /// Takes over what a snapshot says, as trusted claims. Returns what became of its rows.
    #[pyo3(signature = (snapshot, now = None))]
    fn merge<'py>(
        &self,
        py: Python<'py>,
        snapshot: &Bound<'py, Snapshot>,
        now: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let now = self.time_or_now(py, now)?;
        let snapshot = &snapshot.get().0;
        let merged = detached(py, || {
            let merged = self.table.merge(snapshot, now);
            // The snapshot may hold a death of any age.
            self.oldest_death.note(Timestamp::ZERO);
            merged
        });
        let report = PyDict::new(py);
        report.set_item("joined", merged.joined)?;
        report.set_item("applied", merged.applied)?;
        report.set_item("unchanged", merged.unchanged)?;
        report.set_item("rejected", merged.rejections.total())?;
        let about_self: Option<PyClaim> = merged
            .about_self
            .map(|claim| crate::verdict::claim(py, claim));
        report.set_item("about_self", about_self)?;
        Ok(report)
    }

    fn _subscribe(&self, from_now: bool) -> PyResult<Subscriber> {
        Subscriber::new(&self.table, from_now)
    }

    fn _nodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        new_list(py, self.table.len(), |each| {
            let mut failed = Ok(());
            self.table.with(|view| {
                view.iter().for_each(|(key, _)| match key.tuple(py) {
                    Ok(tuple) => each(tuple.clone_ref(py).into_any()),
                    Err(error) => failed = Err(error),
                });
            });
            failed
        })
    }

    fn _states<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let states = self
            .rows()
            .into_iter()
            .map(|(_, state)| NodeState::of(state));
        PyList::new(py, states.collect::<Vec<_>>())
    }

    /// The most nodes that a cleanup leaves.
    #[getter]
    fn max_nodes(&self) -> usize {
        self.max_nodes
    }

    fn __len__(&self) -> usize {
        self.table.len()
    }

    fn __contains__(&self, node: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(node)?.is_some())
    }

    /// A tracker is true, whether it holds nodes or not.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self) -> String {
        format!("<IncarnationTracker: {}>", self.table.counts())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(hooks) = self.hooks.try_lock() {
            visit.call(&hooks.eviction)?;
            visit.call(&hooks.clock)?;
            visit.call(&hooks.node_data)?;
            for hook in &hooks.at_capacity {
                visit.call(hook)?;
            }
        }
        if self.has_data.load(Ordering::Relaxed) {
            let view = self.table.pin();
            for member in view.members() {
                member.data().visit(&visit)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        drop(std::mem::take(&mut *lock(&self.hooks)));
        let mut data = Vec::new();
        self.table.with(|view| {
            data.extend(view.members().map(|member| member.data().replace(None)));
        });
        drop(data);
    }
}

/// A function of the program's own as an argument.
fn function(object: Option<&Bound<'_, PyAny>>, argument: &str) -> PyResult<Option<Py<PyAny>>> {
    match object {
        Some(object) if !object.is_callable() => Err(PyTypeError::new_err(format!(
            "{argument} must be callable, got {}",
            number::type_name(object)
        ))),
        object => Ok(object.map(|object| object.clone().unbind())),
    }
}

/// An own incarnation as an argument.
fn own_incarnation(number: &Bound<'_, PyAny>) -> PyResult<u64> {
    let given = number::incarnation(number, "self_incarnation")?;
    match (given.valid(), given.0) {
        (Some(number), _) => Ok(number),
        (None, Integer::TooSmall | Integer::Small(..0)) => Err(PyValueError::new_err(
            "self_incarnation must not be negative",
        )),
        (None, _) => Err(PyOverflowError::new_err(format!(
            "self_incarnation must be at most MAX_INCARNATION ({MAX_INCARNATION})"
        ))),
    }
}

/// Any integer, at least beyond all limits that it is compared with.
fn wide(number: GivenIncarnation) -> i128 {
    match number.0 {
        Integer::Small(number) => number.into(),
        Integer::TooLarge => i128::MAX,
        Integer::TooSmall => i128::MIN,
    }
}

#[cold]
fn not_a_claim(claim: &Bound<'_, PyAny>, number: usize) -> PyErr {
    PyTypeError::new_err(format!(
        "claims[{number}] must be a tuple (node, status, incarnation), got {}",
        number::type_name(claim)
    ))
}

/// Says in an error which claim it is about.
#[cold]
fn in_claim(py: Python<'_>, error: PyErr, number: usize) -> PyErr {
    let message = format!("claims[{number}]: {}", error.value(py));
    if error.is_instance_of::<PyTypeError>(py) {
        PyTypeError::new_err(message)
    } else {
        PyValueError::new_err(message)
    }
}
