//! Subscriptions: which nodes differ from what their subscriber last saw.
//!
//! The wake-up is a byte into a socket that the program's event loop watches. So the thread that made a
//! change needs no GIL to wake a subscriber, no thread waits on a subscriber's behalf, and every event
//! loop knows how to wait for it.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use incarnation::{Closed, IncarnationTracker};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::key::{Key, NodeData};
use crate::node_state::NodeState;

/// The Rust half of `incarnation.Changes`.
#[pyclass(name = "Subscriber", module = "incarnation", frozen)]
pub struct Subscriber {
    /// Held for a moment only, and never while Python code runs.
    inner: Mutex<Inner>,
}

struct Inner {
    subscriber: incarnation::Subscriber<Key, NodeData>,
    wake_up: WakeUp,
}

struct WakeUp {
    read: UnixStream,
    waker: Waker,
    /// Whose sockets these are: a child of the process needs its own.
    process: u32,
}

impl WakeUp {
    fn new() -> std::io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self {
            read,
            waker: Waker::from(Arc::new(Bell(write))),
            process: std::process::id(),
        })
    }

    /// Takes out the bytes of earlier wake-ups.
    fn reset(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.read).read(&mut bytes), Ok(1..)) {}
    }
}

struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A full socket wakes its reader already, and one whose reader is gone has nobody to wake.
        let _ = (&self.0).write(&[1]);
    }
}

/// One node that differs from what the subscriber last saw.
///
/// `kind` is 'joined', 'updated', 'rejoined' (it left the tracker and came back) or 'gone'. `previous` is
/// None for a node that joined, `current` is None for one that is gone.
#[pyclass(name = "Change", module = "incarnation", frozen, get_all)]
pub struct Change {
    /// 'joined', 'updated', 'rejoined' or 'gone'.
    kind: &'static str,
    /// The node.
    node: Py<PyTuple>,
    /// The state last seen; None for a node that joined.
    previous: Option<Py<NodeState>>,
    /// The state now; None for a node that is gone.
    current: Option<Py<NodeState>>,
}

#[pymethods]
impl Change {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = |state: &Option<Py<NodeState>>| match state {
            None => Ok(String::from("None")),
            Some(state) => Ok::<_, PyErr>(state.bind(py).repr()?.to_string()),
        };
        Ok(format!(
            "<Change: {} {}, previous={}, current={}>",
            self.node.bind(py).repr()?,
            self.kind,
            state(&self.previous)?,
            state(&self.current)?,
        ))
    }
}

impl Subscriber {
    pub fn new(table: &IncarnationTracker<Key, NodeData>, from_now: bool) -> PyResult<Self> {
        Ok(Self {
            inner: Mutex::new(Inner {
                subscriber: if from_now {
                    table.subscribe_from_now()
                } else {
                    table.subscribe()
                },
                wake_up: WakeUp::new()?,
            }),
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Subscriber {
    /// The changes since the last call.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut changes = Vec::new();
        self.with(|inner| {
            inner
                .subscriber
                .drain(|node, change| changes.push((node.clone(), change)));
        });
        let list = PyList::empty(py);
        let state = |state| Py::new(py, NodeState::of(state));
        for (node, change) in changes {
            let kind = match change {
                incarnation::Change::Joined { .. } => "joined",
                incarnation::Change::Updated { .. } => "updated",
                incarnation::Change::Rejoined { .. } => "rejoined",
                incarnation::Change::Gone { .. } => "gone",
                _ => continue,
            };
            let (previous, current) = (change.previous(), change.current());
            list.append(Change {
                kind,
                node: node.tuple(py)?.clone_ref(py),
                previous: previous.map(state).transpose()?,
                current: current.map(state).transpose()?,
            })?;
        }
        Ok(list)
    }

    /// Whether there is news already. If not, `fileno` becomes readable as soon as there is. None if
    /// there will be no more: the tracker is gone, and everything was told.
    fn arm(&self) -> PyResult<Option<bool>> {
        self.with(|inner| {
            if inner.wake_up.process != std::process::id() {
                inner.wake_up = WakeUp::new()?;
            }
            inner.wake_up.reset();
            let waker = inner.wake_up.waker.clone();
            let polled = inner
                .subscriber
                .poll_changed(&mut Context::from_waker(&waker));
            Ok(match polled {
                Poll::Pending => Some(false),
                Poll::Ready(Ok(())) => Some(true),
                Poll::Ready(Err(Closed)) => None,
            })
        })
    }

    /// Makes `fileno` readable, so that the task or thread that waits for it looks again.
    fn wake(&self) {
        self.with(|inner| inner.wake_up.waker.wake_by_ref());
    }

    fn fileno(&self) -> i32 {
        self.with(|inner| inner.wake_up.read.as_raw_fd())
    }
}
