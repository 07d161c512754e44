//! Nodes as Python writes them, `(host, port)`, and as the table keeps them.
//!
//! A lookup borrows the text of the caller's tuple and allocates nothing. The table's own key is made
//! when a node is new: it keeps the host, the port, and the caller's tuple, so that a list of all
//! nodes is a list of tuples that exist already. It also keeps what the program attaches to the node.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use equivalent::Equivalent;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the table keeps of a node beside its state.
pub struct Stored {
    host: Box<str>,
    port: u16,
    /// The tuple of the caller that made the node known; made when it is needed for a node that a
    /// snapshot brought.
    tuple: OnceLock<Py<PyTuple>>,
    /// What the program attached to the node. Held for a moment only, and never while Python code runs.
    data: Mutex<Option<Py<PyAny>>>,
}

impl Stored {
    /// The node's tuple.
    pub fn tuple<'a>(&'a self, py: Python<'_>) -> PyResult<&'a Py<PyTuple>> {
        if let Some(tuple) = self.tuple.get() {
            return Ok(tuple);
        }
        let made = (&*self.host, self.port).into_pyobject(py)?.unbind();
        Ok(self.tuple.get_or_init(|| made))
    }

    /// What the program attached to the node.
    pub fn data(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.as_ref().map(|data| data.clone_ref(py))
    }

    /// Attaches an object to the node, or nothing; returns what was attached before.
    pub fn replace_data(&self, data: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        let mut attached = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *attached, data)
    }

    /// Attaches an object unless there is one; returns the one that is attached then.
    pub fn data_or(&self, py: Python<'_>, data: Py<PyAny>) -> Py<PyAny> {
        let mut attached = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        attached.get_or_insert(data).clone_ref(py)
    }

    /// Shows the attached object to the garbage collector, which must not wait for anybody.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.data.try_lock() {
            Ok(data) => visit.call(&*data),
            Err(_) => Ok(()),
        }
    }
}

/// A node as the caller named it, for the length of a call.
#[derive(Clone, Copy)]
pub struct NodeRef<'a, 'py> {
    host: &'a str,
    port: u16,
    tuple: Borrowed<'a, 'py, PyTuple>,
}

/// Why an object names no node.
#[derive(Clone, Copy, Debug)]
pub enum NotANode {
    /// Not a tuple.
    Type,
    /// A tuple, but not of two.
    Length(usize),
    /// The first is no `str`.
    Host,
    /// The first is a `str` with lone surrogates, which no other program could read.
    Text,
    /// The second is no `int`.
    PortType,
    /// The second is not within 0..=65535.
    Port,
}

impl NotANode {
    /// The exception for an argument called `node`.
    pub fn error(self, object: &Bound<'_, PyAny>) -> PyErr {
        let shown = object
            .repr()
            .map_or_else(|_| String::from("an object"), |repr| repr.to_string());
        match self {
            Self::Type => {
                PyTypeError::new_err(format!("node must be a tuple (host, port), got {shown}"))
            }
            Self::Length(length) => PyTypeError::new_err(format!(
                "node must be a tuple of 2, (host, port), got a tuple of {length}: {shown} (of an IPv6 address pass address[:2])"
            )),
            Self::Host => {
                PyTypeError::new_err(format!("the host of node must be a str, got {shown}"))
            }
            Self::Text => PyValueError::new_err(format!(
                "the host of node must be valid Unicode, got {shown}"
            )),
            Self::PortType => {
                PyTypeError::new_err(format!("the port of node must be an int, got {shown}"))
            }
            Self::Port => PyValueError::new_err(format!(
                "the port of node must be within 0..65535, got {shown}"
            )),
        }
    }
}

impl<'a, 'py> NodeRef<'a, 'py> {
    /// Reads `(host, port)`. Runs no Python code.
    #[inline]
    pub fn of(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, NotANode> {
        let tuple = object.cast::<PyTuple>().map_err(|_| NotANode::Type)?;
        let [host, port] = items(tuple).map_err(NotANode::Length)?;
        let host = host.cast::<PyString>().map_err(|_| NotANode::Host)?;
        let Some(host) = text(host) else {
            return Err(NotANode::Text);
        };
        let port = match crate::number::integer(&port) {
            Some(crate::number::Integer::Small(port)) => {
                u16::try_from(port).map_err(|_| NotANode::Port)?
            }
            Some(_) => return Err(NotANode::Port),
            None => return Err(NotANode::PortType),
        };
        Ok(Self { host, port, tuple })
    }

    /// Calls `work` with this node as a key of the table. The table clones a key that it keeps, and a
    /// clone owns what it refers to.
    #[inline]
    pub fn as_key<R>(self, work: impl FnOnce(&Key) -> R) -> R {
        work(&Key(Repr::Borrowed((&raw const self).cast())))
    }

    fn store(&self) -> Arc<Stored> {
        Arc::new(Stored {
            host: self.host.into(),
            port: self.port,
            tuple: OnceLock::from(self.tuple.to_owned().unbind()),
            data: Mutex::new(None),
        })
    }
}

/// The items of a tuple of `N`, or else how many it has. They live as long as the tuple.
#[inline]
pub fn items<'a, 'py, const N: usize>(
    tuple: Borrowed<'a, 'py, PyTuple>,
) -> Result<[Borrowed<'a, 'py, PyAny>; N], usize> {
    let length = tuple.len();
    if length != N {
        return Err(length);
    }
    Ok(std::array::from_fn(|index| {
        // SAFETY: within the tuple's length. A tuple that others can see keeps its items, and it is
        // borrowed for `'a`.
        unsafe {
            let item = pyo3::ffi::PyTuple_GetItem(tuple.as_ptr(), index as pyo3::ffi::Py_ssize_t);
            Borrowed::from_ptr(tuple.py(), item)
        }
    }))
}

/// The text of a string, kept by the string itself; `None` for lone surrogates.
#[inline]
fn text<'a>(string: Borrowed<'a, '_, PyString>) -> Option<&'a str> {
    let mut length = 0;
    // SAFETY: a string of an attached thread. What it returns lives as long as the string, whose owner
    // (the tuple) is borrowed for `'a`.
    let data = unsafe { pyo3::ffi::PyUnicode_AsUTF8AndSize(string.as_ptr(), &raw mut length) };
    if data.is_null() {
        // Lone surrogates; the exception that says so is replaced by the caller's.
        drop(PyErr::take(string.py()));
        return None;
    }
    // SAFETY: CPython's own encoder made these `length` bytes, and it makes valid UTF-8 or fails.
    Some(unsafe {
        std::str::from_utf8_unchecked(std::slice::from_raw_parts(
            data.cast(),
            usize::try_from(length).unwrap_or(0),
        ))
    })
}

impl Hash for NodeRef<'_, '_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.host, self.port, state);
    }
}

impl Equivalent<Key> for NodeRef<'_, '_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        (self.host, self.port) == key.parts()
    }
}

/// The same for all forms of a node. The port comes last and has a fixed length, so no two nodes write
/// the same bytes.
#[inline]
fn hash<H: Hasher>(host: &str, port: u16, state: &mut H) {
    state.write(host.as_bytes());
    state.write_u16(port);
}

/// The table's key.
pub struct Key(Repr);

enum Repr {
    Owned(Arc<Stored>),
    /// Made by [`NodeRef::as_key`] only, and alive no longer than that call.
    Borrowed(*const NodeRef<'static, 'static>),
}

// SAFETY: what is owned is Send and Sync (a `Py` that is dropped by a thread that is not attached is
// handed to one that is). What is borrowed exists only as `&Key` within a call of `as_key`, on an
// attached thread, and the table hands no key of a call to another thread: it keeps clones, which own.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Key {
    #[inline]
    fn parts(&self) -> (&str, u16) {
        match &self.0 {
            Repr::Owned(stored) => (&stored.host, stored.port),
            Repr::Borrowed(node) => {
                // SAFETY: made from a reference that outlives the key; see `as_key`.
                let node = unsafe { &**node };
                (node.host, node.port)
            }
        }
    }

    /// What the table keeps of the node; `None` for a key that is borrowed, which the table never keeps.
    #[inline]
    pub fn stored(&self) -> Option<&Arc<Stored>> {
        match &self.0 {
            Repr::Owned(stored) => Some(stored),
            Repr::Borrowed(_) => None,
        }
    }

    /// The node's tuple.
    pub fn tuple(&self, py: Python<'_>) -> PyResult<Py<PyTuple>> {
        match &self.0 {
            Repr::Owned(stored) => Ok(stored.tuple(py)?.clone_ref(py)),
            Repr::Borrowed(node) => {
                // SAFETY: made from a reference that outlives the key; see `as_key`.
                let node = unsafe { &**node };
                Ok(node.tuple.to_owned().unbind())
            }
        }
    }

    /// `host:port`; the port follows the last colon.
    fn text(&self) -> String {
        let (host, port) = self.parts();
        format!("{host}:{port}")
    }

    /// Reads what [`text`](Self::text) wrote.
    fn of_text(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|number| number.to_string() == port)?;
        Some(Self(Repr::Owned(Arc::new(Stored {
            host: host.into(),
            port,
            tuple: OnceLock::new(),
            data: Mutex::new(None),
        }))))
    }
}

impl Clone for Key {
    /// A clone owns what it refers to. Of a borrowed key only an attached thread makes one.
    fn clone(&self) -> Self {
        Self(Repr::Owned(match &self.0 {
            Repr::Owned(stored) => stored.clone(),
            // SAFETY: made from a reference that outlives the key, by an attached thread; see `as_key`.
            Repr::Borrowed(node) => unsafe { &**node }.store(),
        }))
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (host, port) = self.parts();
        hash(host, port, state);
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// As the text `host:port`, so that a Rust program whose keys are such texts reads the same bytes.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_text(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not host:port")))
    }
}
