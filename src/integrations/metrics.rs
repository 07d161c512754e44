//! A tracker's numbers through the `metrics` facade, for the exporter that the program installed.
//!
//! The tracker records nothing while it works. A program calls [`IncarnationTracker::record_metrics`] before a scrape
//! is answered, or every few seconds. The call hands over the numbers that the tracker keeps anyway.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::rule::Status;
use crate::tracker::IncarnationTracker;

const NODES: &str = "incarnation_nodes";
const JOINS: &str = "incarnation_joins_total";
const EVICTIONS: &str = "incarnation_evictions_total";
const DECLARED_DEAD: &str = "incarnation_declared_dead_total";
const REJECTIONS: &str = "incarnation_rejections_total";
const TOMBSTONES_WRITTEN: &str = "incarnation_tombstones_written_total";
const TOMBSTONES: &str = "incarnation_tombstones";
const SWEEPS: &str = "incarnation_sweeps_total";
const PENDING_UNLINK: &str = "incarnation_pending_unlink_entries";
const PENDING_RECLAIM: &str = "incarnation_pending_reclaim_entries";
const LONGEST_VIEW: &str = "incarnation_longest_view_seconds";
const LOCAL: &str = "incarnation_local_incarnation";

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Hands this tracker's numbers to the recorder of the [`metrics`](https://docs.rs/metrics) facade (feature `metrics`),
    /// each with the label `tracker`. To be called whenever they should be up to date: before a scrape
    /// is answered, or every few seconds.
    ///
    /// They are [`stats`](Self::stats), [`counts`](Self::counts) by the label `status`, and the local
    /// node's own incarnation, which rises when others suspect this node. Without an installed
    /// recorder it does nothing.
    ///
    /// | name | kind | labels beside `tracker` |
    /// |---|---|---|
    /// | `incarnation_nodes` | gauge | `status` |
    /// | `incarnation_joins_total`, `incarnation_declared_dead_total`, `incarnation_tombstones_written_total`, `incarnation_sweeps_total` | counter | |
    /// | `incarnation_evictions_total`, `incarnation_rejections_total` | counter | `reason` |
    /// | `incarnation_tombstones`, `incarnation_pending_unlink_entries`, `incarnation_pending_reclaim_entries` | gauge | |
    /// | `incarnation_longest_view_seconds` | gauge | |
    /// | `incarnation_local_incarnation` | gauge | |
    ///
    /// Counters never fall: a new tracker under a label that was in use before shows the old one's numbers until it has
    /// counted more.
    ///
    /// ```
    /// # let tracker: incarnation::IncarnationTracker = incarnation::IncarnationTracker::builder().build().unwrap();
    /// incarnation::describe_metrics(); // once, after the recorder was installed
    /// tracker.record_metrics("peers");
    /// ```
    pub fn record_metrics(&self, tracker: &str) {
        let name = || tracker.to_owned();
        let (stats, counts) = (self.stats(), self.counts());
        for status in Status::ALL {
            gauge!(NODES, "tracker" => name(), "status" => status.as_str())
                .set(counts.of(status) as f64);
        }
        let evictions = stats.evictions;
        for (reason, total) in [
            ("unconfirmed_expired", evictions.unconfirmed_expired),
            ("dead_retention", evictions.dead_retention),
            ("capacity", evictions.capacity),
            ("removed", evictions.removed),
            ("forgotten", evictions.forgotten),
        ] {
            counter!(EVICTIONS, "tracker" => name(), "reason" => reason).absolute(total);
        }
        let rejections = stats.rejections;
        for (reason, total) in [
            ("out_of_range", rejections.out_of_range),
            ("unrefutable", rejections.unrefutable),
            ("suspicious_jump", rejections.suspicious_jump),
            ("unconfirmed", rejections.unconfirmed),
            ("at_capacity", rejections.at_capacity),
            ("pending_reclaim", rejections.pending_reclaim),
            ("tombstone", rejections.tombstone),
            ("zombie", rejections.zombie),
        ] {
            counter!(REJECTIONS, "tracker" => name(), "reason" => reason).absolute(total);
        }
        for (metric, total) in [
            (JOINS, stats.joins),
            (DECLARED_DEAD, stats.declared_dead),
            (TOMBSTONES_WRITTEN, stats.tombstones_written),
            (SWEEPS, stats.sweeps),
        ] {
            counter!(metric, "tracker" => name()).absolute(total);
        }
        for (metric, now) in [
            (TOMBSTONES, stats.tombstones as f64),
            (PENDING_UNLINK, stats.pending_unlink as f64),
            (PENDING_RECLAIM, stats.pending_reclaim as f64),
            (LONGEST_VIEW, stats.longest_view.as_secs_f64()),
            (LOCAL, self.local().current().get() as f64),
        ] {
            gauge!(metric, "tracker" => name()).set(now);
        }
    }
}

/// Describes what [`IncarnationTracker::record_metrics`] records to the installed recorder (feature
/// `metrics`): once, after it was installed.
pub fn describe_metrics() {
    describe_gauge!(NODES, Unit::Count, "Nodes in the table, by status.");
    describe_counter!(JOINS, Unit::Count, "Node lifetimes that began.");
    describe_counter!(
        EVICTIONS,
        Unit::Count,
        "Nodes that left the table, by reason."
    );
    describe_counter!(
        DECLARED_DEAD,
        Unit::Count,
        "Suspect nodes that sweeps declared Dead."
    );
    describe_counter!(REJECTIONS, Unit::Count, "Claims refused, by reason.");
    describe_counter!(TOMBSTONES_WRITTEN, Unit::Count, "Tombstones written.");
    describe_gauge!(TOMBSTONES, Unit::Count, "Deaths remembered now.");
    describe_counter!(SWEEPS, Unit::Count, "Sweeps and slices of sweeps.");
    describe_gauge!(
        PENDING_UNLINK,
        Unit::Count,
        "Removed entries that are still linked in their chains."
    );
    describe_gauge!(
        PENDING_RECLAIM,
        Unit::Count,
        "Removed entries that wait to be reused."
    );
    describe_gauge!(
        LONGEST_VIEW,
        Unit::Seconds,
        "A lower bound of the age of the oldest view, as the last sweep found it."
    );
    describe_gauge!(
        LOCAL,
        Unit::Count,
        "The local node's own incarnation; it rises when others suspect this node."
    );
}
