//! Nodes as Python writes them, `(host, port)`, and as the table keeps them.
//!
//! A lookup borrows the text of the caller's tuple and allocates nothing. The table's own key is made
//! when a node is new: it keeps the host, the port, and the caller's tuple, so that a list of all
//! nodes is a list of tuples that exist already. What the program attaches to a node is the table's data.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use equivalent::Equivalent;
use incarnation::ToKey;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The table's key: the node's name, and the tuple it came in. Clones share both.
#[derive(Clone)]
pub struct Key(Arc<Named>);

struct Named {
    host: Box<str>,
    port: u16,
    /// The tuple of the caller that made the node known; made when it is needed for a node that a
    /// snapshot brought.
    tuple: OnceLock<Py<PyTuple>>,
}

/// What the program attached to a node, for the node's time in the table.
///
/// The lock is held for a moment only, and never while Python code runs.
#[derive(Default)]
pub struct NodeData(Mutex<Option<Py<PyAny>>>);

impl NodeData {
    fn lock(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attached object.
    pub fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.lock().as_ref().map(|data| data.clone_ref(py))
    }

    /// Attaches an object, or nothing; returns what was attached before, for the caller to drop when it
    /// holds no view.
    #[must_use]
    pub fn replace(&self, data: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        std::mem::replace(&mut *self.lock(), data)
    }

    /// Attaches an object unless there is one; returns the one that is attached then.
    pub fn get_or_set(&self, py: Python<'_>, data: &Py<PyAny>) -> Py<PyAny> {
        self.lock()
            .get_or_insert_with(|| data.clone_ref(py))
            .clone_ref(py)
    }

    /// Shows the attached object to the garbage collector, which must not wait for anybody.
    pub fn visit(&self, visit: &pyo3::PyVisit<'_>) -> Result<(), pyo3::PyTraverseError> {
        match self.0.try_lock() {
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
}

/// The key of a node that is new to the table. Only an attached thread has a `NodeRef`.
impl ToKey<Key> for NodeRef<'_, '_> {
    fn to_key(&self) -> Key {
        Key(Arc::new(Named {
            host: self.host.into(),
            port: self.port,
            tuple: OnceLock::from(self.tuple.to_owned().unbind()),
        }))
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

impl Key {
    #[inline]
    fn parts(&self) -> (&str, u16) {
        (&self.0.host, self.0.port)
    }

    /// The node's tuple.
    #[inline]
    pub fn tuple(&self, py: Python<'_>) -> PyResult<&Py<PyTuple>> {
        match self.0.tuple.get() {
            Some(tuple) => Ok(tuple),
            None => self.make_tuple(py),
        }
    }

    #[cold]
    fn make_tuple(&self, py: Python<'_>) -> PyResult<&Py<PyTuple>> {
        let made = (&*self.0.host, self.0.port).into_pyobject(py)?.unbind();
        Ok(self.0.tuple.get_or_init(|| made))
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
        Some(Self(Arc::new(Named {
            host: host.into(),
            port,
            tuple: OnceLock::new(),
        })))
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
