//! How a tracker is made: its limits and times, checked before anything is allocated.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use std::net::SocketAddr;

use crate::counters::event_counters::EventCounters;
use crate::counters::pin_age::PinAge;
use crate::counters::status_counts::StatusCounts;
use crate::hash::RandomState;
use crate::local::Local;
use crate::notify::Notify;
use crate::notify::capacity_signal::CapacitySignal;
#[cfg(feature = "persist")]
use crate::persist::{DurableIncarnation, PersistError};
use crate::reclaim::Reclaimer;
use crate::rule::{Incarnation, Policy};
use crate::sync::Arc;
use crate::sync::atomic::AtomicBool;
use crate::table::{Size, Table};
use crate::tombstones::Tombstones;
use crate::tracker::IncarnationTracker;
use crate::tracker::core::{Core, MakeData, SweepPolicy, table_hash};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries there are beyond the hard limit, at least. Few under the model checker, which pays for each.
const MIN_SPARE: usize = if cfg!(incarnation_loom) { 2 } else { 32 };
/// Tables of so many nodes have counts and caches of each thread's own.
#[cfg(not(incarnation_loom))]
const PER_THREAD_FROM: usize = 128;
/// Tables of up to so many nodes have no more than that.
const TINY: usize = if cfg!(incarnation_loom) { 1024 } else { 64 };
/// Small tables have so many times their hard limit, up to so many: two threads that hold one view after the other over
/// 1,024 operations each. The other scheme reclaims an epoch later.
const SPARE_FACTOR: usize = if cfg!(incarnation_portable) { 3 } else { 2 };
const SPARE_OF_SMALL: usize = 2048 * SPARE_FACTOR;

/// How many entries there are beyond the hard limit: for nodes on their way in, and for removed ones that wait for a
/// view. Removals go on while another thread is paused in the middle of an operation, and each of them needs one.
fn spare(hard_limit: usize) -> usize {
    if hard_limit <= TINY {
        return MIN_SPARE.max(hard_limit / 4);
    }
    (hard_limit / 4).max(hard_limit.saturating_mul(SPARE_FACTOR).min(SPARE_OF_SMALL))
}

/// Sets up an [`IncarnationTracker`]; made by [`IncarnationTracker::builder`].
///
/// ```
/// use incarnation::IncarnationTracker;
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// # fn main() -> Result<(), incarnation::BuildError> {
/// let tracker: IncarnationTracker<SocketAddr> = IncarnationTracker::builder()
///     .max_nodes(1_000)
///     .dead_retention(Duration::from_secs(600))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is made until `build`"]
pub struct Builder<K = SocketAddr, D = (), S = RandomState> {
    policy: Policy,
    local_key: Option<K>,
    local_incarnation: Incarnation,
    #[cfg(feature = "persist")]
    local_durable: Option<DurableIncarnation>,
    max_nodes: usize,
    hard_limit: Option<usize>,
    #[cfg(incarnation_loom)]
    per_thread: bool,
    eviction_headroom: Option<usize>,
    evict_alive: bool,
    max_clock_lead: Option<Duration>,
    dead_retention: Duration,
    unconfirmed_timeout: Option<Duration>,
    suspect_timeout: Option<Duration>,
    max_tombstones: Option<usize>,
    tombstone_retention: Option<Duration>,
    reclaimer: Option<Reclaimer>,
    hasher: S,
    huge_pages: bool,
    make_data: MakeData<K, D>,
}

/// Limits that contradict each other, or a table that the system cannot provide.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_nodes` is 0: the table could hold no node.
    NoNodes,
    /// `hard_limit` is below `max_nodes`, so that the table would be full before a sweep acts.
    HardLimitBelowMaxNodes {
        /// The limit on live nodes.
        hard_limit: usize,
        /// What a sweep restores.
        max_nodes: usize,
    },
    /// More entries than 32-bit indexes can name, or than the system has memory for.
    TooManyNodes {
        /// The limit on live nodes.
        hard_limit: usize,
    },
    /// `max_incarnation` is above [`Incarnation::MAX`].
    MaxIncarnationTooLarge {
        /// The limit asked for.
        max_incarnation: Incarnation,
    },
    /// A given incarnation is above `max_incarnation`.
    IncarnationAboveMax {
        /// The one given: `local_incarnation` or `max_first_incarnation`.
        incarnation: Incarnation,
        /// The limit.
        max_incarnation: Incarnation,
    },
    /// `max_incarnation_jump` is below `min_rejoin_bump`: honest rejoins would look suspicious.
    JumpBelowRejoinBump {
        /// The limit on jumps.
        max_incarnation_jump: u64,
        /// What a rejoin needs.
        min_rejoin_bump: u64,
    },
    /// `zombie_window` is longer than tombstones are kept: in between, a node that left the table could
    /// rejoin without the raised incarnation that the window demands.
    ZombieWindowAboveRetention {
        /// The window.
        zombie_window: Duration,
        /// `tombstone_retention`.
        tombstone_retention: Duration,
    },
    /// The durable incarnation can't be begun with: the disk refuses, its block contradicts the
    /// limits, or the range is used up.
    #[cfg(feature = "persist")]
    Durable(PersistError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => f.write_str("max_nodes must be at least 1"),
            Self::HardLimitBelowMaxNodes {
                hard_limit,
                max_nodes,
            } => write!(f, "hard_limit {hard_limit} is below max_nodes {max_nodes}"),
            Self::TooManyNodes { hard_limit } => {
                write!(
                    f,
                    "hard_limit {hard_limit} (twice max_nodes unless set) exceeds the maximum table size, or the memory \
                     that the system has"
                )
            }
            Self::MaxIncarnationTooLarge { max_incarnation } => write!(
                f,
                "max_incarnation {max_incarnation} is above {}",
                Incarnation::MAX
            ),
            Self::IncarnationAboveMax {
                incarnation,
                max_incarnation,
            } => write!(
                f,
                "{incarnation}, given as local_incarnation or max_first_incarnation, is above max_incarnation {max_incarnation}"
            ),
            Self::JumpBelowRejoinBump {
                max_incarnation_jump,
                min_rejoin_bump,
            } => write!(
                f,
                "max_incarnation_jump {max_incarnation_jump} is below min_rejoin_bump {min_rejoin_bump}"
            ),
            Self::ZombieWindowAboveRetention {
                zombie_window,
                tombstone_retention,
            } => write!(
                f,
                "zombie_window {zombie_window:?} is above tombstone_retention {tombstone_retention:?}; lengthen the retention, shorten the window, or keep no tombstones (max_tombstones 0)"
            ),
            #[cfg(feature = "persist")]
            Self::Durable(error) => write!(f, "durable incarnation: {error}"),
        }
    }
}

impl core::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            #[cfg(feature = "persist")]
            Self::Durable(error) => Some(error),
            _ => None,
        }
    }
}

impl<K> Default for Builder<K> {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            local_key: None,
            local_incarnation: Incarnation::ZERO,
            #[cfg(feature = "persist")]
            local_durable: None,
            max_nodes: 10_000,
            hard_limit: None,
            #[cfg(incarnation_loom)]
            per_thread: false,
            eviction_headroom: None,
            evict_alive: false,
            max_clock_lead: Some(Duration::from_secs(60)),
            dead_retention: Duration::from_secs(60 * 60),
            unconfirmed_timeout: Some(Duration::from_secs(5 * 60)),
            suspect_timeout: None,
            max_tombstones: None,
            tombstone_retention: None,
            reclaimer: None,
            hasher: RandomState::new(),
            huge_pages: true,
            make_data: MakeData::new(|_| ()),
        }
    }
}

impl<K, D, S> Builder<K, D, S> {
    /// The node this process is. Claims about it are never applied: they come back as
    /// [`Verdict::AboutSelf`](crate::Verdict::AboutSelf). It is not stored in the table, so nothing
    /// evicts, samples or counts it; its state is [`IncarnationTracker::local`].
    pub fn local_node(mut self, key: K) -> Self {
        self.local_key = Some(key);
        self
    }

    /// The incarnation the local node starts at. Default 0.
    pub fn local_incarnation(mut self, start: impl Into<Incarnation>) -> Self {
        self.local_incarnation = start.into();
        self
    }

    /// Has the local node start above all incarnations that an earlier run may have used, and remember
    /// its own: see [`DurableIncarnation`]. `local_incarnation` then is where the first run starts.
    /// [`build`](Self::build) writes to the disk.
    #[cfg(feature = "persist")]
    pub fn local_durable(mut self, durable: DurableIncarnation) -> Self {
        self.local_durable = Some(durable);
        self
    }

    /// The soft limit: how many nodes a sweep evicts down to. The sizes of the table follow from it. Default 10,000.
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.max_nodes = nodes;
        self
    }

    /// Threads have counts and caches of their own, as in a large table: for the models.
    #[cfg(incarnation_loom)]
    #[must_use]
    pub fn per_thread(mut self) -> Self {
        self.per_thread = true;
        self
    }

    /// How many nodes can be live at any instant; further ones are `AtCapacity` until a sweep.
    /// Default twice `max_nodes`. Address space is reserved for all of them and for spare entries (64
    /// bytes each for keys up to 32 bytes): a quarter more in large tables, relatively more in small ones.
    /// Memory is used only for entries that were in use at some time.
    pub fn hard_limit(mut self, nodes: usize) -> Self {
        self.hard_limit = Some(nodes);
        self
    }

    /// How far below `max_nodes` an eviction by capacity goes, so that not every sweep must evict.
    /// Default 1 % of `max_nodes`. More than `max_nodes` means: empty the table.
    pub fn eviction_headroom(mut self, nodes: usize) -> Self {
        self.eviction_headroom = Some(nodes);
        self
    }

    /// Whether an eviction by capacity may take running nodes once there are no others: first Suspect,
    /// then Alive. Off by default: the stablest live nodes have the oldest last updates, and a flood of
    /// invented ones would push them out; and a suspicion that is swept away is never resolved.
    pub fn evict_alive(mut self, yes: bool) -> Self {
        self.evict_alive = yes;
        self
    }

    /// How far ahead of a sweep's clock a last update may be; `None`: any distance. Default one minute.
    ///
    /// One claim dated years ahead, by a clock that was wrong once, would keep its node from ever
    /// expiring. A sweep brings such a last update back to its own `now` plus this. Make it longer than a
    /// thread that sweeps may be held up in the middle of it, and than clocks of different threads may
    /// disagree: a node whose last update is brought back though it is right expires too early.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
    ///     .max_clock_lead(Duration::from_secs(30))
    ///     .build()?;
    /// let (now, years_ahead) = (Timestamp::from_millis(0), Timestamp::from_millis(1 << 40));
    /// let _ = tracker.update(&7, Claim::dead(3), years_ahead);
    /// assert_eq!(tracker.sweep(now).clock_leads, 1);
    /// assert_eq!(
    ///     tracker.get(&7).map(|state| state.last_update),
    ///     Some(now + Duration::from_secs(30)),
    /// );
    /// # Ok(()) }
    /// ```
    pub fn max_clock_lead(mut self, lead: impl Into<Option<Duration>>) -> Self {
        self.max_clock_lead = lead.into();
        self
    }

    /// How long a Dead or Left node stays in the table, at least. Default one hour.
    pub fn dead_retention(mut self, retention: Duration) -> Self {
        self.dead_retention = retention;
        self
    }

    /// After how long a sweep removes an Unconfirmed node; `None`: never. Default five minutes.
    pub fn unconfirmed_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.unconfirmed_timeout = timeout.into();
        self
    }

    /// After how long a sweep declares a Suspect node Dead; `None`, the default: never, since the
    /// protocol does it.
    pub fn suspect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.suspect_timeout = timeout.into();
        self
    }

    /// How many deaths are remembered after their nodes left the table; 0: none. Default
    /// `max_nodes`. Beyond it the oldest go, an eighth of them at once. Threads that write tombstones at the same time may
    /// exceed it for a moment, by one for each of them.
    #[doc(alias = "max_graves")]
    #[doc(alias = "graves")]
    pub fn max_tombstones(mut self, tombstones: usize) -> Self {
        self.max_tombstones = Some(tombstones);
        self
    }

    /// How long a death is remembered, counted from the death. Default 24 hours, or twice `dead_retention` if that is
    /// more. A time that is not above `dead_retention` has the sweep evict without a tombstone: then only nodes removed before
    /// leave any.
    #[doc(alias = "grave_retention")]
    pub fn tombstone_retention(mut self, retention: Duration) -> Self {
        self.tombstone_retention = Some(retention);
        self
    }

    /// The highest incarnation a claim may carry. Default [`Incarnation::MAX`].
    pub fn max_incarnation(mut self, max: impl Into<Incarnation>) -> Self {
        self.policy.max_incarnation = max.into();
        self
    }

    /// How far above the stored incarnation an untrusted claim about a known node may be; `None`: any
    /// distance. Default 1000.
    ///
    /// Where incarnations are clock time, an honest restart jumps far: widen the limit to the seconds for which a node may
    /// be away. With `None` one forged claim suffices to put what is held of a node out of its reach (above its own
    /// [`refute_limit`](Self::refute_limit)).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> =
    ///     IncarnationTracker::builder().max_incarnation_jump(7 * 86_400_u64).build()?; // a week
    /// let now = Timestamp::ZERO;
    /// let _ = tracker.update(&7, Claim::alive(1_700_000_000), now);
    /// assert!(tracker.update(&7, Claim::alive(1_700_001_200), now).is_accepted());
    /// # Ok(()) }
    /// ```
    pub fn max_incarnation_jump(mut self, jump: impl Into<Option<u64>>) -> Self {
        self.policy.max_incarnation_jump = jump.into();
        self
    }

    /// How far above its own incarnation the local node follows an accusation (see
    /// [`Local::answer`]). Default 2^32.
    ///
    /// It is far wider than `max_incarnation_jump`, because the two limits guard different things: a peer
    /// that refuses a jump loses one claim, a node that refuses to answer is taken for dead. With the
    /// defaults, raising what peers hold of a node beyond its reach takes 2^32 / 1000, or about 2^22,
    /// claims that each peer accepts; using up the whole range of incarnations takes 2^61 / 2^32 = 2^29
    /// accusations that the node answers. Of a durable incarnation (`local_durable`, feature `persist`), a block and
    /// `min_rejoin_bump` together may take an eighth of it.
    pub fn refute_limit(mut self, limit: u64) -> Self {
        self.policy.refute_limit = limit;
        self
    }

    /// The highest incarnation at which an untrusted claim may introduce an unknown node. Default:
    /// any in range, since a limit too low makes nodes unlearnable.
    ///
    /// ```
    /// use incarnation::{Incarnation, IncarnationTracker};
    /// let builder = IncarnationTracker::<u32>::builder().max_first_incarnation(Incarnation::new(100));
    /// # builder.build().unwrap();
    /// ```
    pub fn max_first_incarnation(mut self, max: impl Into<Option<Incarnation>>) -> Self {
        self.policy.max_first_incarnation = max.into();
        self
    }

    /// How long after its death a node must rejoin at a raised incarnation, inclusive. Default 60 s. Where
    /// tombstones are kept, at most `tombstone_retention`.
    pub fn zombie_window(mut self, window: Duration) -> Self {
        self.policy.zombie_window = window;
        self
    }

    /// By how much it must be raised. Default 5.
    pub fn min_rejoin_bump(mut self, bump: u64) -> Self {
        self.policy.min_rejoin_bump = bump;
        self
    }

    /// The reclamation domain, which decides when the memory of removed nodes may be reused. Default
    /// [`Reclaimer::global`].
    pub fn reclaimer(mut self, reclaimer: Reclaimer) -> Self {
        self.reclaimer = Some(reclaimer);
        self
    }

    /// Whether a table of 8 MiB or more asks the system for pages of 2 MiB (on Linux, by `madvise`). On by default.
    ///
    /// Huge pages make lookups in a large table faster: fewer accesses wait for the translation of an address. But
    /// the system zeroes 2 MiB at the first use of each, which makes the slowest joins slower, and memory is used in such
    /// steps. A smaller table never asks. If the system refuses, the pages are ordinary ones.
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// let tracker = IncarnationTracker::<u64>::builder()
    ///     .max_nodes(1_000_000)
    ///     .huge_pages(false)
    ///     .build()?;
    /// # Ok::<(), incarnation::BuildError>(())
    /// ```
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Hashes keys with `hasher` instead of the randomly seeded [`RandomState`].
    ///
    /// Keys come from the network, so it should be seeded at random and resist collisions. All bits of the high half
    /// of the 64-bit hash must spread. The low ones of that half choose the chain. In a table of 65,535 entries or
    /// more (`hard_limit` and a quarter) they also choose the part of the entries that a node may use. With a hasher
    /// that does not spread them, such a table may refuse nodes with `AtCapacity` before `hard_limit` nodes are
    /// live. No hasher makes a table hold more than `hard_limit`.
    pub fn hasher<T>(self, hasher: T) -> Builder<K, D, T> {
        self.retyped(|_, make_data| (hasher, make_data))
    }

    /// Keeps data of the program's own for each node: `make` makes it when the node joins, and the table drops it
    /// when the node has left and no view can reach it any more. [`Member::data`](crate::Member::data),
    /// [`NodeHandle::with_data`](crate::NodeHandle::with_data), [`Swept`](crate::Swept) and
    /// [`Removed`](crate::Removed) lend it. It needs interior mutability of its own to be changed: atomics, a mutex,
    /// an `ArcSwapOption`.
    ///
    /// The thread whose claim links the entry runs `make`, outside of any lock and before a slot is taken, after
    /// cloning the key. It may run for a claim that is refused at last; its result is dropped then. If another
    /// thread's claim about the same new node is faster, that one's data stays. Nodes that enter by a
    /// snapshot get their data here, too. [`update_with`](crate::IncarnationTracker::update_with) makes a node's data
    /// from what the call knows.
    ///
    /// Cost: the size of `D` in each entry. A panic in `make` or in `D`'s `Drop` leaves the table sound.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::sync::Mutex;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker = IncarnationTracker::<String>::builder()
    ///     .data_with(|_node| Mutex::new(Vec::<u32>::new())) // round-trip times
    ///     .build()?;
    /// let _ = tracker.confirm("db-1", 1, Timestamp::ZERO);
    /// let node = tracker.handle("db-1").ok_or("unknown")?;
    /// node.with_data(|times| times.lock().map(|mut times| times.push(17)).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn data_with<E>(self, make: impl Fn(&K) -> E + Send + Sync + 'static) -> Builder<K, E, S> {
        self.retyped(|hasher, _| (hasher, MakeData::new(make)))
    }

    fn retyped<E, T>(
        self,
        change: impl FnOnce(S, MakeData<K, D>) -> (T, MakeData<K, E>),
    ) -> Builder<K, E, T> {
        let (hasher, make_data) = change(self.hasher, self.make_data);
        Builder {
            policy: self.policy,
            local_key: self.local_key,
            local_incarnation: self.local_incarnation,
            #[cfg(feature = "persist")]
            local_durable: self.local_durable,
            max_nodes: self.max_nodes,
            hard_limit: self.hard_limit,
            #[cfg(incarnation_loom)]
            per_thread: self.per_thread,
            eviction_headroom: self.eviction_headroom,
            evict_alive: self.evict_alive,
            max_clock_lead: self.max_clock_lead,
            dead_retention: self.dead_retention,
            unconfirmed_timeout: self.unconfirmed_timeout,
            suspect_timeout: self.suspect_timeout,
            max_tombstones: self.max_tombstones,
            tombstone_retention: self.tombstone_retention,
            reclaimer: self.reclaimer,
            hasher,
            huge_pages: self.huge_pages,
            make_data,
        }
    }
}

impl<K, D, S> Builder<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Makes the tracker: one allocation for the entries, one for the heads, a few small ones.
    ///
    /// # Errors
    ///
    /// A [`BuildError`] that names the limits which contradict each other, or what a disk refused.
    pub fn build(self) -> Result<IncarnationTracker<K, D, S>, BuildError> {
        let hard_limit = self.checked()?;
        #[cfg(not(incarnation_loom))]
        let per_thread = hard_limit >= PER_THREAD_FROM;
        #[cfg(incarnation_loom)]
        let per_thread = self.per_thread;
        let size = Size {
            nodes: self.max_nodes,
            hard_limit,
            // Room for entries on their way in, and for removed ones that wait for a view.
            entries: hard_limit.saturating_add(spare(hard_limit)),
            huge_pages: self.huge_pages,
            per_thread,
        };
        let tombstones = Tombstones::new(self.tombstones_kept(), self.tombstones_kept_for());
        let Reclaimer(domain) = self.reclaimer.unwrap_or_default();
        let no_room = BuildError::TooManyNodes { hard_limit };
        let table = Table::new(size, domain).ok_or_else(|| no_room.clone())?;
        let notify = Notify::new(table.capacity()).ok_or(no_room)?;
        let local_hash = self
            .local_key
            .as_ref()
            .map_or(u64::MAX, |key| table_hash(&self.hasher, key).into());
        let local = Local::new(self.local_incarnation, &self.policy);
        // Last, when nothing else can fail: it spends incarnations.
        #[cfg(feature = "persist")]
        let local = match self.local_durable {
            Some(durable) => Local::durable(durable, self.local_incarnation, &self.policy)
                .map_err(BuildError::Durable)?,
            None => local,
        };
        Ok(IncarnationTracker::new(Arc::new(Core {
            make_data: self.make_data,
            notify,
            table,
            tombstones,
            policy: self.policy,
            sweep_policy: SweepPolicy {
                unconfirmed_timeout: self.unconfirmed_timeout,
                suspect_timeout: self.suspect_timeout,
                dead_retention: self.dead_retention,
                max_nodes: self.max_nodes,
                hard_limit,
                max_clock_lead: self.max_clock_lead,
                eviction_headroom: self.eviction_headroom.unwrap_or(self.max_nodes / 100),
                evict_alive: self.evict_alive,
            },
            status_counts: StatusCounts::new(per_thread),
            event_counters: EventCounters::new(per_thread),
            views: PinAge::default(),
            hasher: self.hasher,
            local,
            local_hash,
            local_key: self.local_key,
            selecting: AtomicBool::new(false),
            capacity_signal: CapacitySignal::default(),
        })))
    }

    /// The hard limit, once nothing contradicts anything.
    fn checked(&self) -> Result<usize, BuildError> {
        let Policy {
            max_incarnation,
            max_incarnation_jump,
            max_first_incarnation,
            min_rejoin_bump,
            ..
        } = self.policy;
        if self.max_nodes == 0 {
            return Err(BuildError::NoNodes);
        }
        let hard_limit = self.hard_limit.unwrap_or(self.max_nodes.saturating_mul(2));
        if hard_limit < self.max_nodes {
            return Err(BuildError::HardLimitBelowMaxNodes {
                hard_limit,
                max_nodes: self.max_nodes,
            });
        }
        if max_incarnation > Incarnation::MAX {
            return Err(BuildError::MaxIncarnationTooLarge { max_incarnation });
        }
        for incarnation in [Some(self.local_incarnation), max_first_incarnation] {
            if let Some(incarnation) = incarnation
                && incarnation > max_incarnation
            {
                return Err(BuildError::IncarnationAboveMax {
                    incarnation,
                    max_incarnation,
                });
            }
        }
        if let Some(max_incarnation_jump) = max_incarnation_jump
            && max_incarnation_jump < min_rejoin_bump
        {
            return Err(BuildError::JumpBelowRejoinBump {
                max_incarnation_jump,
                min_rejoin_bump,
            });
        }
        let (zombie_window, tombstone_retention) =
            (self.policy.zombie_window, self.tombstones_kept_for());
        if self.tombstones_kept() > 0 && zombie_window > tombstone_retention {
            return Err(BuildError::ZombieWindowAboveRetention {
                zombie_window,
                tombstone_retention,
            });
        }
        Ok(hard_limit)
    }

    fn tombstones_kept(&self) -> usize {
        self.max_tombstones.unwrap_or(self.max_nodes)
    }

    fn tombstones_kept_for(&self) -> Duration {
        self.tombstone_retention
            .unwrap_or_else(|| DAY.max(self.dead_retention.saturating_mul(2)))
    }
}
