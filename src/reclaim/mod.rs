//! The seam to memory reclamation: when may an entry that was unlinked be used again?
//!
//! A thread that reads the table is *pinned* by a [`Guard`]. A thread that unlinked entries takes a [`Ticket`], and
//! may use them again once a later [`Domain::horizon`] says that the ticket has *passed*: no guard that existed when
//! the ticket was taken is still held. Nothing outside this folder knows how that is found out. There are two schemes:
//!
//! - `asymmetric` (Linux): a pin is two plain stores. The freeing side pays for both sides with a system call.
//!   Where the kernel refuses the call, both sides use real fences.
//! - `portable`: crossbeam-epoch; a pin costs a full fence. The only one on other systems; elsewhere chosen by
//!   `--cfg incarnation_portable`.
//!
//! The seam also lends the pair of fences that the first scheme is made of ([`Domain::light_fence`],
//! [`Domain::heavy_fence`]) to other code that must be free on a hot path.

#[cfg(all(any(target_os = "linux", incarnation_loom), not(incarnation_portable)))]
mod asymmetric;
#[cfg(all(any(target_os = "linux", incarnation_loom), not(incarnation_portable)))]
use asymmetric as scheme;

#[cfg(any(not(any(target_os = "linux", incarnation_loom)), incarnation_portable))]
mod portable;
#[cfg(any(not(any(target_os = "linux", incarnation_loom)), incarnation_portable))]
use portable as scheme;

pub(crate) use scheme::{Domain, Guard, Horizon, Ticket};

/// Keeps a guard, and each view that holds one, on the thread that pinned: only that thread writes its record.
type ThreadBound = ::core::marker::PhantomData<*const ViewStaysOnItsThread_EndItsBlockBeforeAwait>;

/// The compiler prints this name where a view would move to another thread. So the name says what to do.
#[allow(non_camel_case_types, reason = "a sentence for compiler messages")]
#[derive(Debug)]
enum ViewStaysOnItsThread_EndItsBlockBeforeAwait {}

/// How many heavy fences this thread paid for so far, where they are system calls.
#[cfg(all(
    test,
    target_os = "linux",
    not(incarnation_portable),
    not(miri),
    not(incarnation_loom)
))]
pub(crate) fn system_calls() -> usize {
    crate::sync::membarrier::RUNS.get()
}

/// The reclamation domain: it decides when removed nodes' memory may be used again.
///
/// By default all trackers of a process share one, so that a thread pays once. A view that is held
/// for ever delays recycling in every tracker that shares it (and nothing else); a tracker with a
/// [`private`](Self::private) one is independent of the others' views.
///
/// ```
/// use incarnation::{IncarnationTracker, Reclaimer};
/// # fn main() -> Result<(), incarnation::BuildError> {
/// let tracker: IncarnationTracker<String> = IncarnationTracker::builder()
///     .reclaimer(Reclaimer::private())
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Reclaimer(pub(crate) Domain);

impl Reclaimer {
    /// The one that all trackers of the process share unless told otherwise.
    #[must_use]
    pub fn global() -> Self {
        Self(Domain::global())
    }

    /// A new reclaimer, for a tracker that the views of other trackers must not delay.
    ///
    /// Cost: a thread looks through the private reclaimers it has used each time it pins one of them. With one that is
    /// nothing; with 1,000 a pin takes 674 ns, where that of the shared one takes 1. So give many trackers one
    /// reclaimer, and clone it.
    #[must_use]
    pub fn private() -> Self {
        Self(Domain::private())
    }
}

impl Default for Reclaimer {
    fn default() -> Self {
        Self::global()
    }
}
