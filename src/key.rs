//! What operations take for a key: the key itself, or what is equivalent to it and can become it.
#![forbid(unsafe_code)]

use core::hash::Hash;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use equivalent::Equivalent;

/// A key, or what stands for one and can become one: `&str` for a tracker of `String`, `&[u8]` for one of
/// `Vec<u8>`.
///
/// Operations that may bring a node into the table take it. They call [`to_key`](Self::to_key) only for a node that
/// joins, so a claim about a known node allocates nothing. Each key that is `Clone` stands for itself; strings, slices and
/// paths stand for their owned forms, `Box`es and `Arc`s. A type of a program's own that stands for a key implements it
/// beside [`Equivalent`](https://docs.rs/equivalent); both must hash alike.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let _ = tracker.update("db-1", Claim::alive(1), Timestamp::ZERO); // makes a `String`
/// let _ = tracker.update("db-1", Claim::suspect(1), Timestamp::ZERO); // makes none
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key of a tracker whose keys are `{K}`",
    label = "must be `&{K}`, or a reference to what is equivalent to a key and becomes one",
    note = "name the key's type where the tracker is made: `IncarnationTracker::<String>::builder()`",
    note = "a type of your own that stands for a key implements `Equivalent<{K}>` and `ToKey<{K}>`"
)]
pub trait ToKey<K>: Hash + Equivalent<K> {
    /// Makes the key that the table keeps.
    fn to_key(&self) -> K;
}

impl<K: Eq + Hash + Clone> ToKey<K> for K {
    #[inline]
    fn to_key(&self) -> K {
        self.clone()
    }
}

macro_rules! to_key {
    ($($from:ty => $key:ty;)*) => {$(
        impl ToKey<$key> for $from {
            #[inline]
            fn to_key(&self) -> $key {
                self.into()
            }
        }
    )*};
}

to_key! {
    str => String;
    str => Box<str>;
    str => Arc<str>;
    Path => PathBuf;
    Path => Box<Path>;
    Path => Arc<Path>;
    OsStr => OsString;
    OsStr => Box<OsStr>;
    OsStr => Arc<OsStr>;
}

macro_rules! to_key_of_slice {
    ($($key:ty;)*) => {$(
        impl<T: Eq + Hash + Clone> ToKey<$key> for [T] {
            #[inline]
            fn to_key(&self) -> $key {
                self.into()
            }
        }
    )*};
}

to_key_of_slice! {
    Vec<T>;
    Box<[T]>;
    Arc<[T]>;
}
