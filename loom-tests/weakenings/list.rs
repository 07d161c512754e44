//! The weakenings, each with the model that must catch it.
//!
//! `from` must stand exactly once in its file; `to` takes its place.

pub struct Weakening {
    pub name: &'static str,
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    /// What else must change (file, from, to), where several things do the same work.
    pub also: &'static [(&'static str, &'static str, &'static str)],
    pub model: &'static str,
}

/// A model that catches a weakening, too, besides the one that is named there. So it is seen to fail.
pub struct Further {
    pub weakening: &'static str,
    pub model: &'static str,
}

const ENTRY: &str = "src/table/entry.rs";
const CHAIN: &str = "src/table/chain.rs";
const SHARD: &str = "src/table/shard.rs";
const SLAB: &str = "src/table/slab.rs";
const RETIRED: &str = "src/table/retired.rs";
const CACHE: &str = "src/table/cache.rs";
const NUMBER: &str = "src/table/thread_number.rs";
const PINNED: &str = "src/table/pinned.rs";
const CAPACITY_SIGNAL: &str = "src/notify/capacity_signal.rs";
const WAKE_LIST: &str = "src/notify/wake_list.rs";
const NODE_WAIT: &str = "src/subscribe/node.rs";
const TOMBSTONES: &str = "src/tombstones.rs";
const SWEEP: &str = "src/tracker/sweep.rs";
const SWEEPER: &str = "src/sweeper.rs";
const NOTIFY: &str = "src/notify/marks.rs";
const CORE: &str = "src/tracker/core.rs";
const JUDGING: &str = "src/tracker/judging.rs";
const APPLY: &str = "src/tracker/apply.rs";
const SUBMIT: &str = "src/tracker/submit.rs";
const EVICT: &str = "src/tracker/evict.rs";
const RECLAIM: &str = "src/reclaim/asymmetric.rs";
const RECORD: &str = "src/reclaim/asymmetric/record.rs";

pub const LIST: &[Weakening] = &[
    // The packed state and its last update.
    Weakening {
        name: "the last update is raised after the exchange",
        file: ENTRY,
        from: "        if self.last_update.load(Ordering::Relaxed) < now.as_nanos() {
            self.last_update
                .fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
        self.packed",
        to: "let _late = Late(&self.last_update, now.as_nanos());
        struct Late<'a>(&'a AtomicU64, u64);
        impl Drop for Late<'_> {
            fn drop(&mut self) {
                self.0.fetch_max(self.1, Ordering::Relaxed);
            }
        }
        self.packed",
        also: &[],
        model: "claims::last_update_before_publish",
    },
    Weakening {
        name: "the exchange of the packed state releases nothing",
        file: ENTRY,
        from: "                // a judge that comes after this one acquires both: the exchange continues the release sequence.
                Ordering::Release,",
        to: "Ordering::Relaxed,",
        also: &[],
        model: "claims::last_update_before_publish",
    },
    Weakening {
        name: "the load of the packed state acquires nothing",
        file: ENTRY,
        from: "self.packed.load(Ordering::Acquire)",
        to: "self.packed.load(Ordering::Relaxed)",
        also: &[],
        model: "scans::scanner_and_insert",
    },
    Weakening {
        name: "an eviction takes a state that it did not examine",
        file: PINNED,
        from: "node.entry.evict(Some(judged))?;
        self.pinned",
        to: "let _ = judged; node.entry.evict(node.entry.packed())?;
        self.pinned",
        also: &[],
        model: "claims::update_against_sweep_on_the_exact_packed_state",
    },
    Weakening {
        name: "a claim replaces a state that it did not examine",
        file: PINNED,
        from: "self.entry.raise(from, to, now)",
        to: "self.entry.raise(from.and_then(|_| self.entry.packed()), to, now)",
        also: &[],
        model: "claims::two_updates_of_one_node",
    },
    Weakening {
        name: "a last update is brought back below the clock lead",
        file: SWEEP,
        from: "Some(now + self.max_clock_lead?)",
        to: "self.max_clock_lead.map(|_| now)",
        also: &[],
        model: "claims::a_claim_against_a_last_update_brought_back",
    },
    Weakening {
        name: "a judgement looks at node and tombstone without a lock",
        file: JUDGING,
        from: ".find_locked(key, || known(pinned, hash, key).is_some());",
        to: ".find_unlocked(key, || known(pinned, hash, key).is_some());",
        also: &[(
            TOMBSTONES,
            "        self.map.look(key, |found| (found.copied(), look()))
    }",
            "        self.map.look(key, |found| (found.copied(), look()))
    }
    pub(crate) fn find_unlocked<Q, R>(&self, key: &Q, look: impl FnOnce() -> R) -> (Option<Found>, R)
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        (self.find(key), look())
    }",
        )],
        model: "tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone",
    },
    // Linking and unlinking.
    Weakening {
        name: "the link releases nothing",
        file: CHAIN,
        from: "                Ordering::AcqRel,
                // Acquire: the caller walks on from it.
                Ordering::Acquire,
            )
            .map(drop)",
        to: "                Ordering::Acquire,
                Ordering::Acquire,
            )
            .map(drop)",
        also: &[],
        model: "inserts::a_linked_entry_is_whole",
    },
    Weakening {
        name: "the link does not publish the data",
        file: CHAIN,
        from: "                Ordering::AcqRel,
                // Acquire: the caller walks on from it.
                Ordering::Acquire,
            )
            .map(drop)",
        to: "                Ordering::Acquire,
                Ordering::Acquire,
            )
            .map(drop)",
        also: &[],
        model: "data::a_reader_sees_it_whole",
    },
    Weakening {
        name: "the link acquires nothing",
        file: CHAIN,
        from: "                Ordering::AcqRel,
                // Acquire: the caller walks on from it.
                Ordering::Acquire,
            )
            .map(drop)",
        to: "                Ordering::Release,
                Ordering::Acquire,
            )
            .map(drop)",
        also: &[],
        model: "tombstones::a_whole_lifetime_inside_an_old_claim",
    },
    Weakening {
        name: "the load of the head acquires nothing",
        file: CHAIN,
        from: "self.head(hash).load(Ordering::Acquire)",
        to: "self.head(hash).load(Ordering::Relaxed)",
        also: &[],
        model: "inserts::a_linked_entry_is_whole",
    },
    Weakening {
        name: "the loads of the next entry acquire nothing",
        file: CHAIN,
        from: "place = entry.next.load(Ordering::Acquire) as usize;",
        to: "place = entry.next.load(Ordering::Relaxed) as usize;",
        also: &[],
        model: "tombstones::old_claim_against_tombstone_in_the_middle",
    },
    Weakening {
        name: "the load of the second entry of a chain acquires nothing",
        file: CHAIN,
        from: "let second = entry.next.load(Ordering::Acquire);",
        to: "let second = entry.next.load(Ordering::Relaxed);",
        also: &[],
        model: "tombstones::a_judgement_in_a_large_table_against_the_burial_of_the_second_in_the_chain",
    },
    Weakening {
        name: "the unlinking of an only entry passes on none behind it",
        file: CHAIN,
        from: "if self.slab.entry(index).next.load(Ordering::Acquire) != 0 {",
        to: "if self.slab.entry(index).next.load(Ordering::Relaxed) != 0 {",
        also: &[],
        model: "tombstones::old_claim_against_an_only_entry_that_hid_the_dead",
    },
    Weakening {
        name: "the shard lock's holder loads the head without acquiring anything",
        file: CHAIN,
        from: "let mut next = classes.index(head.load(Ordering::Acquire), number);",
        to: "let mut next = classes.index(head.load(Ordering::Relaxed), number);",
        also: &[],
        model: "evictions::an_only_entry_against_a_link_in_front",
    },
    Weakening {
        name: "the shard lock's holder that finds another entry in front acquires nothing",
        file: CHAIN,
        from: "                        // `evictions::the_first_of_two_against_a_link_in_front`.
                        Ordering::Acquire,",
        to: "                        Ordering::Relaxed,",
        also: &[],
        model: "evictions::the_first_of_two_against_a_link_in_front",
    },
    Weakening {
        name: "a link does not look for its key again",
        file: PINNED,
        from: "table.find_from(first, hash, |known| key.equivalent(known))",
        to: "table.find_from(first, hash, |known| key.equivalent(known)).filter(|_| false)",
        also: &[],
        model: "tombstones::an_old_claim_while_a_join_ends_the_tombstone",
    },
    Weakening {
        name: "an entry is linked in front of another one than it points to",
        file: CHAIN,
        from: "                local,
                classes.local(index.get()),
                // Release: publishes the entry.",
        to: "                self.head(hash).load(Ordering::Acquire),
                classes.local(index.get()),
                // Release: publishes the entry.",
        also: &[],
        model: "inserts::two_keys_at_one_head",
    },
    Weakening {
        name: "an unlinked entry no longer leads on",
        file: CHAIN,
        from: "            unlinked.push(index);
",
        to: "            unlinked.push(index);
            entry.next.store(0, Ordering::Release);
",
        also: &[],
        model: "evictions::unlinking_in_the_middle",
    },
    Weakening {
        name: "unlinking in the middle releases nothing",
        file: CHAIN,
        from: "previous.next.store(after, Ordering::Release)",
        to: "previous.next.store(after, Ordering::Relaxed)",
        also: &[],
        model: "tombstones::an_eviction_whose_unlinking_is_handed_over",
    },
    Weakening {
        name: "unlinking at the head releases nothing",
        file: CHAIN,
        from: "                        // `tombstones::an_eviction_at_the_head_is_handed_over`.
                        Ordering::Release,",
        to: "                        Ordering::Relaxed,",
        also: &[],
        model: "tombstones::an_eviction_at_the_head_is_handed_over",
    },
    // Permits and logically deleted entries.
    Weakening {
        name: "the shard lock is ignored",
        file: SHARD,
        from: ".compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()",
        to: ".compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok_and(|_| true)
            || true",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "the shard lock's holder does not look again",
        file: SHARD,
        from: "while !shard.release() {",
        to: "while !shard.release() && false {",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "what is left to the shard lock's holder is not released to it",
        file: SHARD,
        from: "self.0.swap(MORE_WAITS, Ordering::AcqRel) == FREE",
        to: "self.0.swap(MORE_WAITS, Ordering::Acquire) == FREE",
        also: &[],
        model: "evictions::pending_unlink_of_another_chain_is_handed_over",
    },
    Weakening {
        name: "what is left to the shard lock's holder is not acquired by it",
        file: SHARD,
        from: "self.0.swap(HELD, Ordering::Acquire);",
        to: "self.0.swap(HELD, Ordering::Relaxed);",
        also: &[],
        model: "evictions::pending_unlink_of_another_chain_is_handed_over",
    },
    Weakening {
        name: "a shard lock that was freed meanwhile is taken without acquiring anything",
        file: SHARD,
        from: "self.0.swap(MORE_WAITS, Ordering::AcqRel) == FREE",
        to: "self.0.swap(MORE_WAITS, Ordering::Release) == FREE",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "the mark that more waits is not left",
        file: SHARD,
        from: "self.0.swap(MORE_WAITS, Ordering::AcqRel) == FREE",
        to: "self.0.load(Ordering::Acquire) == FREE + MORE_WAITS + HELD",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "the shard lock's release releases nothing",
        file: SHARD,
        from: ".compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed)",
        to: ".compare_exchange(HELD, FREE, Ordering::Relaxed, Ordering::Relaxed)",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "only one's own entry is unlinked",
        file: SHARD,
        from: "for head in first..end {",
        to: "for head in first..first.min(end) {",
        also: &[],
        model: "evictions::pending_unlink_is_handed_over",
    },
    Weakening {
        name: "the holder looks at its own chain only",
        file: SHARD,
        from: "            for head in first..end {
                self.unlink_evicted(head, unlinked);
            }",
        to: "            let _ = first..end;
            self.unlink_evicted(head, unlinked);",
        also: &[],
        model: "evictions::pending_unlink_of_another_chain_is_handed_over",
    },
    Weakening {
        name: "a refused insert leaves its vacant entry linked",
        file: PINNED,
        from: "if self.node.entry.entry_state() == EntryState::Vacant
            && self.node.entry.evict(None).is_ok()
        {",
        to: "if self.node.entry.entry_state() == EntryState::Evicted && self.node.entry.evict(None).is_ok() {",
        also: &[],
        model: "tombstones::a_whole_lifetime_inside_an_old_claim",
    },
    Weakening {
        name: "a refused insert does not unlink its entry",
        file: PINNED,
        from: "            self.pinned.retiring().unlink(self.node);",
        to: "",
        also: &[],
        model: "tombstones::a_whole_lifetime_inside_an_old_claim",
    },
    Weakening {
        name: "an insert that loses the race to link keeps its entry",
        file: PINNED,
        from: "        unsafe { self.table.slab.give_back(self.index) };",
        to: "        let _ = (self.table, self.index);",
        also: &[],
        model: "inserts::two_inserts_of_one_key",
    },
    // Reclamation.
    Weakening {
        name: "the ticket is drawn before the unlinking",
        file: PINNED,
        from: "        table.clear_up(hash, node.index, &mut self.unlinked);
        table.count_pending_unlink(self.unlinked.len() - before);",
        to: "        let ticket = table.domain.ticket(&self.pinned.guard);
        table.clear_up(hash, node.index, &mut self.unlinked);
        if self.unlinked.len() > before {
            table.retired.add(ticket, core::mem::take(&mut self.unlinked));
        }",
        also: &[(
            PINNED,
            "        if self.table.unlink_only(hash, node.index) {
            self.table.release_and_retire(&self.guard, node.index);",
            "        let ticket = self.table.domain.ticket(&self.guard);
        if self.table.unlink_only(hash, node.index) {
            self.table.release();
            self.table.retired.add(ticket, node.index.into());",
        )],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "entries are recycled without a grace period",
        file: RETIRED,
        from: "|retired| horizon.passed(&retired.ticket)",
        to: "|retired| horizon.passed(&retired.ticket) || true",
        also: &[(RETIRED, "if domain.may_pass(oldest(&taken)) {", "{")],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "data is dropped without a grace period",
        file: RETIRED,
        from: "|retired| horizon.passed(&retired.ticket)",
        to: "|retired| horizon.passed(&retired.ticket) || true",
        also: &[(RETIRED, "if domain.may_pass(oldest(&taken)) {", "{")],
        model: "data::a_view_outlives_the_node",
    },
    Weakening {
        name: "the pin's light fence is left out",
        file: RECORD,
        from: "        registry.fences.light();",
        to: "",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "the pin's light fence is left out where membarrier is refused",
        file: RECORD,
        from: "        self.pin_flagged(registry);
        true",
        to: "        self.announce(registry);
        true",
        also: &[],
        model: "views::a_lookup_where_membarrier_is_refused",
    },
    Weakening {
        name: "the repin's light fence is left out",
        file: RECORD,
        from: "        // As in `pin`, or a real one. Pinned by `views::a_repinned_view_keeps_what_it_sees`.
        registry.light_fence();",
        to: "",
        also: &[],
        model: "views::a_repinned_view_keeps_what_it_sees",
    },
    Weakening {
        name: "the real fence of both sides is left out",
        file: RECLAIM,
        from: "        // SeqCst: of each two fences one comes first. Pinned by `views::a_lookup_where_membarrier_is_refused`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "views::a_lookup_where_membarrier_is_refused",
    },
    Weakening {
        name: "a heavy fence that fails counts as one",
        file: RECLAIM,
        from: "        if !self.0.heavy_fence() {",
        to: "        if !self.0.heavy_fence() && false {",
        also: &[],
        model: "views::a_lookup_where_membarrier_fails_later",
    },
    Weakening {
        name: "the pin's load acquires nothing",
        file: RECORD,
        from: "registry.epoch.load(Ordering::Acquire)",
        to: "registry.epoch.load(Ordering::Relaxed)",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "a record is given back without releasing anything",
        file: RECORD,
        from: "self.taken.store(false, Ordering::Release);",
        to: "self.taken.store(false, Ordering::Relaxed);",
        also: &[],
        model: "views::a_record_that_is_passed_on_while_another_takes_it",
    },
    Weakening {
        name: "the freeing side's heavy fence is left out",
        file: RECLAIM,
        from: "if !self.0.heavy_fence() {",
        to: "if false {",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "a light fence takes the place of the freeing side's heavy one",
        file: RECLAIM,
        from: "if !self.0.heavy_fence() {",
        to: "self.0.light_fence();
        if false {",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "the unpin releases nothing",
        file: RECORD,
        from: "self.epoch.store(idle, Ordering::Release);",
        to: "self.epoch.store(idle, Ordering::Relaxed);",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "the pin's store releases nothing",
        file: RECORD,
        from: "self.epoch.store(epoch, Ordering::Release);",
        to: "self.epoch.store(epoch, Ordering::Relaxed);",
        also: &[],
        model: "views::a_second_pin_keeps_the_first_unpin",
    },
    Weakening {
        name: "the scan of the records acquires nothing",
        file: RECLAIM,
        from: ".map(|record| record.epoch.load(Ordering::Acquire))",
        to: ".map(|record| record.epoch.load(Ordering::Relaxed))",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "a new record drops the records that came meanwhile",
        file: RECLAIM,
        from: "        loop {
            // SAFETY: not in the list yet, so no other thread has it.
            unsafe { (*record).0.next = head };",
        to: "        unsafe { (*record).0.next = head };
        loop {",
        also: &[],
        model: "views::two_threads_that_are_new",
    },
    Weakening {
        name: "a record is given back before it is idle",
        file: RECORD,
        from: "        self.be_idle(idle_of(guards));
        if guards & PASSING != 0 {
            self.give_back();
        }",
        to: "        if guards & PASSING != 0 {
            self.give_back();
        }
        self.be_idle(idle_of(guards));",
        also: &[],
        model: "views::a_record_that_is_passed_on_while_another_takes_it",
    },
    Weakening {
        name: "two threads may take one record",
        file: RECORD,
        from: "            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();",
        to: "            .load(Ordering::Acquire);
        let free = !free;
        if free {
            self.taken.store(true, Ordering::Relaxed);
        }",
        also: &[],
        model: "views::a_record_that_is_passed_on_while_another_takes_it",
    },
    Weakening {
        name: "an inner guard unpins the outer one",
        file: RECORD,
        from: "        if guards & GUARDS > 0 {",
        to: "        if guards & GUARDS > 1 {",
        also: &[],
        model: "views::an_inner_view_leaves_the_outer_pinned",
    },
    Weakening {
        name: "an operation unpins the guard around it",
        file: RECORD,
        from: "let idle = self.there() == IDLE;",
        to: "let idle = true;",
        also: &[],
        model: "views::an_inner_view_leaves_the_outer_pinned",
    },
    Weakening {
        name: "the batches are not released",
        file: RETIRED,
        from: "                // the top is an exchange and continues their release sequences.
                Ordering::Release,",
        to: "                Ordering::Relaxed,",
        also: &[],
        model: "recycling::a_batch_is_whole",
    },
    Weakening {
        name: "two collections take the same batches",
        file: RETIRED,
        from: "let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);",
        to: "let mut next = self.newest.load(Ordering::Acquire);
        self.newest.store(ptr::null_mut(), Ordering::Relaxed);",
        also: &[],
        model: "recycling::two_collectors_share_the_work",
    },
    Weakening {
        name: "the free list releases nothing",
        file: SLAB,
        from: "                // `recycling::a_recycled_entry_is_whole`.
                Ordering::Release,",
        to: "                Ordering::Relaxed,",
        also: &[],
        model: "recycling::a_recycled_entry_is_whole",
    },
    Weakening {
        name: "the free list acquires nothing",
        file: SLAB,
        from: "        let mut top = list.load(Ordering::Acquire);",
        to: "        let mut top = list.load(Ordering::Relaxed);",
        also: &[],
        model: "recycling::the_free_list_goes_on_where_it_says",
    },
    Weakening {
        name: "an index returns to the first class",
        file: SLAB,
        from: "let class = self.classes.of(index.get());",
        to: "let class = self.classes.of(0);",
        also: &[],
        model: "recycling::an_index_returns_to_its_own_class",
    },
    Weakening {
        name: "the highest of the marks is overwritten by a lower one",
        file: SLAB,
        from: "self.highest.fetch_max(index.get(), Ordering::Relaxed);",
        to: "self.highest.store(index.get(), Ordering::Relaxed);",
        also: &[],
        model: "scans::a_scan_reaches_the_highest_of_two_marks",
    },
    Weakening {
        name: "the free list does not count",
        file: SLAB,
        from: "    ((top >> 32).wrapping_add(1)) << 32 | index as u64",
        to: "    (top >> 32) << 32 | index as u64",
        also: &[],
        model: "recycling::an_index_comes_back_while_another_thread_takes_it",
    },
    Weakening {
        name: "the last update of a claim is stored",
        file: ENTRY,
        from: "            self.last_update
                .fetch_max(now.as_nanos(), Ordering::Relaxed);",
        to: "            self.last_update.store(now.as_nanos(), Ordering::Relaxed);",
        also: &[],
        model: "claims::two_updates_of_one_node",
    },
    // Tombstones.
    Weakening {
        name: "hearsay changes a node that was only heard of",
        file: "src/rule/judge.rs",
        from: "            Some(stored) if stored.rank() != Status::Unconfirmed.rank() => claim,",
        to: "            Some(_) => claim,",
        also: &[],
        model: "hearsay::against_contact_of_an_unconfirmed_node",
    },
    Weakening {
        name: "hearsay of an unknown node takes no second look at the tombstones",
        file: APPLY,
        from: "        let found = self.tombstones.find(node.key());
        let (to, verdict) = match",
        to: "        let found = match proposal.kind() {
            crate::rule::ProposalKind::Hear(_) => None,
            _ => self.tombstones.find(node.key()),
        };
        let (to, verdict) = match",
        also: &[],
        model: "hearsay::a_whole_lifetime_inside_it",
    },
    Weakening {
        name: "an introduction that loses its race is answered as a join",
        file: APPLY,
        from: "        node.raise(None, to, now)?;
        if let",
        to: "        if node.raise(None, to, now).is_err() {
            return Ok(verdict);
        }
        if let",
        also: &[],
        model: "hearsay::against_contact_of_an_unknown_node",
    },
    Weakening {
        name: "hearsay that loses its race against an eviction is answered as applied",
        file: APPLY,
        from: "                self.write(node, packed, to, now).is_ok().then_some(verdict)",
        to: "                let _ = self.write(node, packed, to, now);
                Some(verdict)",
        also: &[],
        model: "hearsay::against_eviction",
    },
    Weakening {
        name: "no second look at the tombstones",
        file: APPLY,
        from: "self.judge_by_tombstone(found, proposal, now) {",
        to: "crate::rule::judge(crate::rule::Situation::default(), proposal, &self.policy) {",
        also: &[],
        model: "tombstones::a_whole_lifetime_inside_an_old_claim",
    },
    Weakening {
        name: "the tombstone is written after the eviction",
        file: EVICT,
        from: "        let mut written = WriteOutcome::NotStored;
        if packed",
        to: "        let mut written = WriteOutcome::NotStored;
        evict(node, packed)?;
        if packed",
        also: &[(
            EVICT,
            "if let Err(entry_state) = evict(node, packed) {",
            "if let Err(entry_state) = Ok(()) {",
        )],
        model: "tombstones::old_claim_against_tombstone",
    },
    Weakening {
        name: "a join clears any tombstone",
        file: TOMBSTONES,
        from: "tombstone.written == found.written;",
        to: "tombstone.written <= u64::MAX;",
        also: &[],
        model: "tombstones::a_join_ends_a_tombstone_while_the_joiner_dies",
    },
    Weakening {
        name: "a join clears any tombstone below it",
        file: TOMBSTONES,
        from: "            && found.tombstone.packed < packed
        {
            self.end(key, found);",
        to: "            && found.tombstone.packed < packed
            && self.map.remove_if(key, |tombstone| tombstone.tombstone.packed < packed)
        {
            self.uncount();",
        also: &[],
        model: "tombstones::a_late_join_ends_no_later_tombstone",
    },
    // Evictions.
    Weakening {
        name: "an eviction releases nothing",
        file: ENTRY,
        from: "                // `tombstones::old_claim_against_tombstone`. The judged packed state was acquired: as in `raise`.
                Ordering::Release,",
        to: "                Ordering::Relaxed,",
        also: &[],
        model: "tombstones::old_claim_against_tombstone",
    },
    Weakening {
        name: "two evictions may end one lifetime",
        file: ENTRY,
        from: "    pub(crate) fn evict(&self, judged: Option<PackedState>) -> Result<(), EntryState> {
",
        to: "    pub(crate) fn evict(&self, judged: Option<PackedState>) -> Result<(), EntryState> {
        if judged.is_some() && self.bits() == EVICTED {
            return Ok(());
        }
",
        also: &[],
        model: "evictions::two_removals_of_one_node",
    },
    Weakening {
        name: "two sweeps select at once",
        file: SWEEP,
        from: "            .ok()
            .map(|_| Self(flag))",
        to: "            .ok();
        Some(Self(flag))",
        also: &[(
            SWEEP,
            "            if !self.sweep_policy.is_too_many(known) {
                return;
            }
            candidates.truncate(known - goal);
",
            "            let _ = (known, &mut candidates);
",
        )],
        model: "limits::two_sweeps_take_one_surplus",
    },
    // Tombstones that end.
    Weakening {
        name: "two tombstones whose evictions fail leave one behind",
        file: TOMBSTONES,
        from: "                known.standing = known.standing.saturating_add(1);",
        to: "                known.standing = known.standing.saturating_add(2);",
        also: &[],
        model: "tombstones::a_newer_claim_against_two_tombstones",
    },
    Weakening {
        name: "a tombstone that others count on is taken back",
        file: TOMBSTONES,
        from: "is_it(tombstone) && tombstone.standing == 0)",
        to: "is_it(tombstone))",
        also: &[],
        model: "tombstones::two_removals_bury_one_node",
    },
    Weakening {
        name: "a tombstone is cleared for a join before the join is counted",
        file: "src/snapshot/merge.rs",
        from: "                        core.event_counters.count_tombstone_cleared_for_joiner();",
        to: "",
        also: &[],
        model: "tombstones::a_snapshot_while_a_merged_tombstone_meets_a_join",
    },
    Weakening {
        name: "the packed state and the tombstone are of two moments",
        file: JUDGING,
        from: "            EntryState::Live(still) if still == packed => {",
        to: "            _ => {",
        also: &[(JUDGING, "            moved => Err(moved),
        }
    }

    #[inline(always)]
    pub(super) fn judge_unknown", "        }
    }

    #[inline(always)]
    pub(super) fn judge_unknown")],
        model: "tombstones::a_judgement_of_one_heard_of_while_it_is_forgotten",
    },
    Weakening {
        name: "a tombstone whose eviction fails stays",
        file: EVICT,
        from: "            self.tombstones.take_back(node.key(), written);
            return Err(entry_state);",
        to: "            return Err(entry_state);",
        also: &[],
        model: "tombstones::a_newer_claim_against_a_tombstone",
    },
    Weakening {
        name: "a judgement does not look again for the node",
        file: JUDGING,
        from: "            if known(pinned, hash, key).is_none() && self.event_counters.arrivals() == joins {
                return judgement;
            }",
        to: "            let _ = joins;
            return judgement;",
        also: &[],
        model: "tombstones::a_judgement_while_a_join_ends_the_tombstone",
    },
    Weakening {
        name: "a join is counted after its tombstone was cleared",
        file: APPLY,
        from: "        self.event_counters.count_join();
        self.tombstones.end_below(node.key(), found, to);
",
        to: "        self.tombstones.end_below(node.key(), found, to);
        self.event_counters.count_join();
",
        also: &[],
        model: "tombstones::a_judgement_while_a_joiner_is_taken_out",
    },
    Weakening {
        name: "a join is counted without releasing anything",
        file: "src/counters/event_counters.rs",
        from: "self.count_for_all(|line| &line.joins, Ordering::Release);",
        to: "self.count_for_all(|line| &line.joins, Ordering::Relaxed);",
        also: &[],
        model: "tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone",
    },
    Weakening {
        name: "the number of joins acquires nothing",
        file: "src/counters/event_counters.rs",
        from: "line.joins.load(Ordering::Acquire)",
        to: "line.joins.load(Ordering::Relaxed)",
        also: &[],
        model: "tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone",
    },
    Weakening {
        name: "a judgement misses a whole node lifetime",
        file: JUDGING,
        from: "known(pinned, hash, key).is_none() && self.event_counters.arrivals() == joins {",
        to: "known(pinned, hash, key).is_none() && joins <= u64::MAX {",
        also: &[],
        model: "tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone",
    },
    Weakening {
        name: "clearing a tombstone releases nothing",
        file: TOMBSTONES,
        from: "self.count.fetch_sub(1, Ordering::Release);",
        to: "self.count.fetch_sub(1, Ordering::Relaxed);",
        also: &[],
        model: "tombstones::a_judgement_while_a_join_ends_the_tombstone",
    },
    Weakening {
        name: "the number of tombstones acquires nothing",
        file: TOMBSTONES,
        from: "self.count.load(Ordering::Acquire) as usize",
        to: "self.count.load(Ordering::Relaxed) as usize",
        also: &[],
        model: "tombstones::a_judgement_while_a_join_ends_the_tombstone",
    },
    Weakening {
        name: "a tombstone is counted after it was written",
        file: TOMBSTONES,
        from: "        let counted = self.count_one();
        if self.map.upsert(key, new, deepen) {
            core::mem::forget(counted);",
        to: "        if self.map.upsert(key, new, deepen) {
            core::mem::forget(self.count_one());",
        also: &[],
        model: "tombstones::a_tombstone_written_while_others_end",
    },
    Weakening {
        name: "an expired tombstone counts",
        file: TOMBSTONES,
        from: "tombstone.packed > known.tombstone.packed || self.expired(known.tombstone, now)",
        to: "tombstone.packed > known.tombstone.packed",
        also: &[],
        model: "tombstones::a_tombstone_over_an_expired_one",
    },
    Weakening {
        name: "a lost race for a vacant entry keeps its reservation",
        file: APPLY,
        from: "        node.raise(None, to, now)?;
        if let",
        to: "        node.raise(None, to, now)
            .inspect_err(|_| core::mem::forget(reservation.take()))?;
        if let",
        also: &[],
        model: "limits::two_claims_of_one_node_for_the_last_free_entry",
    },
    // Caches.
    Weakening {
        name: "a number that is taken acquires nothing",
        file: NUMBER,
        from: "// `caches::a_number_is_passed_on_with_all_that_was_written_under_it`.
                    Ordering::Acquire,",
        to: "Ordering::Relaxed,",
        also: &[],
        model: "caches::a_number_is_passed_on_with_all_that_was_written_under_it",
    },
    Weakening {
        name: "a number that is given back releases nothing",
        file: NUMBER,
        from: "fetch_and(!(1 << (number % 64)), Ordering::Release)",
        to: "fetch_and(!(1 << (number % 64)), Ordering::Relaxed)",
        also: &[],
        model: "caches::a_number_is_passed_on_with_all_that_was_written_under_it",
    },
    Weakening {
        name: "a cache is unlocked without releasing anything",
        file: CACHE,
        from: "self.0.lock.store(false, Ordering::Release);",
        to: "self.0.lock.store(false, Ordering::Relaxed);",
        also: &[],
        model: "caches::a_cache_is_cleared_between_two_visits_of_its_owner",
    },
    Weakening {
        name: "a cache is locked without acquiring anything",
        file: CACHE,
        from: ".compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)",
        to: ".compare_exchange(false, true, Ordering::Relaxed, Ordering::Relaxed)",
        also: &[],
        model: "caches::a_cache_is_cleared_between_two_visits_of_its_owner",
    },
    Weakening {
        name: "a cache is unlocked without releasing the free entries that it keeps",
        file: CACHE,
        from: "self.0.lock.store(false, Ordering::Release);",
        to: "self.0.lock.store(false, Ordering::Relaxed);",
        also: &[],
        model: "caches::a_cache_of_two_classes_is_cleared_between_two_visits_of_its_owner",
    },
    Weakening {
        name: "a cached batch is freed without a grace period",
        file: CACHE,
        from: "if !horizon.passed(ticket) {",
        to: "if !horizon.passed(ticket) && false {",
        also: &[],
        model: "caches::a_horizon_of_before_frees_nothing_that_is_unlinked_after",
    },
    Weakening {
        name: "the horizon of idle records has no limit",
        file: RECLAIM,
        from: "oldest.unwrap_or(IDLE).min(limit)",
        to: "oldest.unwrap_or(IDLE)",
        also: &[],
        model: "caches::a_horizon_of_before_frees_nothing_that_is_unlinked_after",
    },
    Weakening {
        name: "a horizon is shared without releasing anything",
        file: RECLAIM,
        from: "self.0.settled.fetch_max(horizon, Ordering::Release);",
        to: "self.0.settled.fetch_max(horizon, Ordering::Relaxed);",
        also: &[],
        model: "caches::a_horizon_that_another_thread_found_out",
    },
    Weakening {
        name: "a shared horizon acquires nothing",
        file: RECLAIM,
        from: "Horizon(self.0.settled.load(Ordering::Acquire))",
        to: "Horizon(self.0.settled.load(Ordering::Relaxed))",
        also: &[],
        model: "caches::a_horizon_that_another_thread_found_out",
    },
    Weakening {
        name: "called-in credits are gone before the count is without them",
        file: CACHE,
        from: "self.live.fetch_sub(held.credits(), Ordering::Release);
                held.set_credits(0);",
        to: "let credits = held.credits();
                held.set_credits(0);
                self.live.fetch_sub(credits, Ordering::Release);",
        also: &[],
        model: "caches::a_join_while_a_judgement_calls_credits_in",
    },
    Weakening {
        name: "the number of credits is stored without releasing anything",
        file: CACHE,
        from: "self.0.credits.store(credits, Ordering::Release);",
        to: "self.0.credits.store(credits, Ordering::Relaxed);",
        also: &[],
        model: "caches::a_join_while_a_judgement_calls_credits_in",
    },
    Weakening {
        name: "the look at the credits acquires nothing",
        file: CACHE,
        from: "if cache.credits.load(Ordering::Acquire) == 0 {",
        to: "if cache.credits.load(Ordering::Relaxed) == 0 {",
        also: &[],
        model: "caches::a_join_while_a_judgement_calls_credits_in",
    },
    Weakening {
        name: "the number of nodes is read before the credits alone",
        file: CACHE,
        from: "let before = self.credits();",
        to: "let before = (u64::MAX, 0);",
        also: &[],
        model: "caches::a_count_while_credits_are_drawn",
    },
    Weakening {
        name: "credits are called in without releasing anything",
        file: CACHE,
        from: "self.live.fetch_sub(held.credits(), Ordering::Release);",
        to: "self.live.fetch_sub(held.credits(), Ordering::Relaxed);",
        also: &[],
        model: "caches::a_join_on_a_credit_that_another_thread_called_in",
    },
    Weakening {
        name: "the count of nodes acquires nothing",
        file: CACHE,
        from: "let live = self.live.load(Ordering::Acquire);",
        to: "let live = self.live.load(Ordering::Relaxed);",
        also: &[],
        model: "caches::a_count_while_credits_are_called_in",
    },
    Weakening {
        name: "the count's look at the lock of a cache acquires nothing",
        file: CACHE,
        from: "if cache.lock.load(Ordering::Acquire) {",
        to: "if cache.lock.load(Ordering::Relaxed) {",
        also: &[],
        model: "caches::a_count_while_credits_are_called_in",
    },
    Weakening {
        name: "the count's look at the credits of a cache acquires nothing",
        file: CACHE,
        from: "credits += cache.credits.load(Ordering::Acquire);",
        to: "credits += cache.credits.load(Ordering::Relaxed);",
        also: &[],
        model: "caches::a_count_while_credits_are_drawn",
    },
    Weakening {
        name: "credits are called in without the lock of their cache",
        file: CACHE,
        from: "let Some(mut held) = cache.try_lock() else {
                    is_in_use",
        to: "let Some(mut held) = Some(Held(cache)) else {
                    is_in_use",
        also: &[],
        model: "caches::credits_are_called_in_while_their_owner_joins",
    },
    Weakening {
        name: "a line of a thread's own counts a join without releasing anything",
        file: "src/counters/event_counters.rs",
        from: "number(line).store(count + 1, order);",
        to: "number(line).store(count + 1, Ordering::Relaxed);",
        also: &[],
        model: "caches::a_judgement_while_a_line_of_its_own_counts_a_join",
    },
    Weakening {
        name: "an only entry is unlinked without releasing anything",
        file: CHAIN,
        from: "// `tombstones::old_claim_against_tombstone`.
                Ordering::Release,
                // Relaxed: nothing",
        to: "Ordering::Relaxed,
                // Relaxed: nothing",
        also: &[],
        model: "tombstones::old_claim_against_tombstone",
    },
    Weakening {
        name: "an entry is taken for the only one with another in front",
        file: CHAIN,
        from: "                self.slab.classes().local(index.get()),
                0,
",
        to: "                self.head(hash).load(Ordering::Acquire),
                0,
",
        also: &[],
        model: "evictions::an_only_entry_against_a_link_in_front",
    },
    // Merging.
    Weakening {
        name: "merging loses entries",
        file: RETIRED,
        from: "merged.entries.append(batch.entries);",
        to: "drop(batch.entries);",
        also: &[],
        model: "recycling::what_a_view_holds_up_is_merged_and_let_go",
    },
    // The capacity signal.
    Weakening {
        name: "a refused claim is not fenced from looking for sweepers",
        file: CAPACITY_SIGNAL,
        from: "        // or this call sees the sweeper. Pinned by `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "capacity_signal::a_refusal_inside_a_view_is_swept_for",
    },
    Weakening {
        name: "no refused claim notifies",
        file: CORE,
        from: "        self.capacity_signal.notify();
",
        to: "",
        also: &[],
        model: "capacity_signal::a_refused_claim_is_swept_for",
    },
    Weakening {
        name: "a refused claim is not fenced from looking at the signal",
        file: CAPACITY_SIGNAL,
        from: "        // `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "capacity_signal::a_refusal_inside_a_view_is_swept_for",
    },
    Weakening {
        name: "a sweeper that takes the signal back is not fenced",
        file: CAPACITY_SIGNAL,
        from: "        // signal set. Pinned by `capacity_signal::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "capacity_signal::a_refusal_inside_a_view_is_swept_for",
    },
    Weakening {
        name: "the signal is taken back after the sweep",
        file: SWEEPER,
        from: "            sleeper.begin_sweep();
            let made_room = self.sweep(&mut on_swept);",
        to: "            let made_room = self.sweep(&mut on_swept);
            sleeper.begin_sweep();",
        also: &[],
        model: "capacity_signal::a_refused_claim_is_swept_for",
    },
    Weakening {
        name: "a sweeper enlists after it looked at the signal",
        file: SWEEPER,
        from: "            sleeper.enlist();
            // Relaxed: see `Drop`.",
        to: "            // Relaxed: see `Drop`.",
        also: &[(
            SWEEPER,
            "            // A thread that sets one",
            "            sleeper.enlist();
            // A thread that sets one",
        )],
        model: "capacity_signal::a_refusal_inside_a_view_is_swept_for",
    },
    // The list of waiters.
    Weakening {
        name: "a notification is not counted before the list is tried",
        file: WAKE_LIST,
        from: "        self.notified.fetch_add(1, Ordering::Release);",
        to: "",
        also: &[],
        model: "wake_list::a_notification_while_the_list_is_held",
    },
    Weakening {
        // To the checker a fence is one step with what stands before it, so something is put in between.
        name: "a notification is counted without releasing anything",
        file: WAKE_LIST,
        from: "        self.notified.fetch_add(1, Ordering::Release);",
        to: "        self.notified.fetch_add(1, Ordering::Relaxed);
        let _ = self.occupied.load(Ordering::Relaxed);",
        also: &[],
        model: "wake_list::a_waker_sees_the_change_that_it_is_woken_for",
    },
    Weakening {
        // A step is put before the lock is tried, since the checker has a thread that is about to try one wait for it.
        name: "a notifier that loses the list leaves the other waiters",
        file: WAKE_LIST,
        from: "if mem::take(&mut left) => {",
        to: "if mem::take(&mut left) && false => {",
        also: &[(
            WAKE_LIST,
            "            let unhandled = self.let_go(list);
",
            "            let unhandled = self.let_go(list);
            let _ = self.occupied.load(Ordering::Relaxed);
",
        )],
        model: "wake_list::a_notifier_that_loses_the_list_on_its_way",
    },
    Weakening {
        name: "the holder of the list does not look for notifications",
        file: WAKE_LIST,
        from: "self.notified.load(Ordering::Relaxed) != handled",
        to: "self.notified.load(Ordering::Relaxed) != handled && false",
        also: &[],
        model: "wake_list::a_notification_while_the_list_is_held",
    },
    Weakening {
        name: "the holder of the list looks for notifications without a fence",
        file: WAKE_LIST,
        from: "        // SeqCst: against the fence in `count`. Pinned by
        // `wake_list::a_notification_while_the_list_is_held`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "wake_list::a_notification_while_the_list_is_held",
    },
    Weakening {
        name: "a notification is counted without a fence",
        file: WAKE_LIST,
        from: "        // sees the notification. Pinned by `wake_list::a_notification_while_the_list_is_held`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "wake_list::a_notification_while_the_list_is_held",
    },
    Weakening {
        name: "a list with waiters says that it has none",
        file: WAKE_LIST,
        from: "            .store(!list.waiters.is_empty(), Ordering::Relaxed);",
        to: "            .store(list.has_due(), Ordering::Relaxed);",
        also: &[],
        model: "wake_list::a_notification_against_an_enlisting",
    },
    Weakening {
        name: "a waiter that gives up takes another along",
        file: WAKE_LIST,
        from: "            let position = list.position(&ticket)?;
            list.waiters.remove(position)",
        to: "            let _ = list.position(&ticket)?;
            list.waiters.pop_front()",
        also: &[],
        model: "wake_list::a_notification_while_another_waiter_gives_up",
    },
    Weakening {
        name: "the list is declared empty after it was let go",
        file: WAKE_LIST,
        from: "        self.occupied
            .store(!list.waiters.is_empty(), Ordering::Relaxed);
        let handled = list.handled;
        drop(list);",
        to: "        let occupied = !list.waiters.is_empty();
        let handled = list.handled;
        drop(list);
        self.occupied.store(occupied, Ordering::Relaxed);",
        also: &[],
        model: "notify::a_waiter_that_enlists_while_another_is_woken",
    },
    Weakening {
        name: "asking for a sweep releases nothing",
        file: SWEEPER,
        from: "self.shared.asked.swap(true, Ordering::Release);",
        to: "self.shared.asked.swap(true, Ordering::Relaxed);",
        also: &[],
        model: "capacity_signal::a_sweep_that_was_asked_for_is_made",
    },
    Weakening {
        name: "a sweep is counted without releasing anything",
        file: SWEEPER,
        from: "self.shared.sweeps.fetch_add(1, Ordering::Release);",
        to: "self.shared.sweeps.fetch_add(1, Ordering::Relaxed);",
        also: &[],
        model: "capacity_signal::a_sweep_that_is_counted_is_seen",
    },
    Weakening {
        name: "the number of sweeps acquires nothing",
        file: SWEEPER,
        from: "self.shared.sweeps.load(Ordering::Acquire)",
        to: "self.shared.sweeps.load(Ordering::Relaxed)",
        also: &[],
        model: "capacity_signal::a_sweep_that_is_counted_is_seen",
    },
    // Handles.
    Weakening {
        name: "a handle does not look at the generation",
        file: PINNED,
        from: "(entry.generation() == generation).then_some",
        to: "(entry.generation() >= generation).then_some",
        also: &[],
        model: "handles::recycled_with_the_very_same_packed_state",
    },
    Weakening {
        name: "a handle looks at the generation first",
        file: PINNED,
        from: "        let packed = entry.packed()?;
        (entry.generation() == generation).then_some((Node { entry, index }, packed))",
        to: "        let same = entry.generation() == generation;
        let packed = entry.packed()?;
        same.then_some((Node { entry, index }, packed))",
        also: &[],
        model: "handles::recycled_with_the_very_same_packed_state",
    },
    Weakening {
        name: "a glance does not look at the generation",
        file: ENTRY,
        from: "(self.generation() == generation)",
        to: "(self.generation() >= generation)",
        also: &[],
        model: "handles::a_read_never_shows_another_lifetime",
    },
    Weakening {
        name: "a glance looks at the generation before the last update",
        file: ENTRY,
        from: "        let last_update = self.last_update.load(Ordering::Acquire);
        (self.generation() == generation)",
        to: "        let same = self.generation() == generation;
        let last_update = self.last_update.load(Ordering::Acquire);
        same",
        also: &[],
        model: "handles::a_read_never_shows_another_lifetime",
    },
    Weakening {
        name: "a glance's last update acquires nothing",
        file: ENTRY,
        from: "self.last_update.load(Ordering::Acquire)",
        to: "self.last_update.load(Ordering::Relaxed)",
        also: &[],
        model: "handles::a_read_never_shows_another_lifetime",
    },
    Weakening {
        name: "the first last update of a lifetime releases nothing",
        file: ENTRY,
        from: "self.last_update.store(now.as_nanos(), Ordering::Release)",
        to: "self.last_update.store(now.as_nanos(), Ordering::Relaxed)",
        also: &[],
        model: "handles::a_read_never_shows_another_lifetime",
    },
    // Limits.
    Weakening {
        name: "a reservation is a load and a store",
        file: CACHE,
        from: "match self.live.compare_exchange_weak(
                live,
                live + 1 + credits,",
        to: "self.live.store(live + 1 + credits, Ordering::Relaxed);
            match self.live.compare_exchange_weak(
                    live + 1 + credits,
                    live + 1 + credits,",
        also: &[],
        model: "limits::two_inserts_for_one_free_entry",
    },
    Weakening {
        name: "a reservation acquires nothing",
        file: CACHE,
        from: "// the one that made room. Pinned by `limits::reserve_at_the_hard_limit`.
                Ordering::Acquire,",
        to: "Ordering::Relaxed,",
        also: &[],
        model: "limits::reserve_at_the_hard_limit",
    },
    Weakening {
        name: "giving a reservation back releases nothing",
        file: CACHE,
        from: "self.live.fetch_sub(1, Ordering::Release);",
        to: "self.live.fetch_sub(1, Ordering::Relaxed);",
        also: &[],
        model: "limits::reserve_at_the_hard_limit",
    },
    Weakening {
        name: "a refusal after linking is not counted",
        file: SUBMIT,
        from: "            Some(verdict) => Told(self.noted(verdict)),
            None => Told(self.apply_without_free_entry",
        to: "            Some(verdict) => Told(verdict),
            None => Told(self.apply_without_free_entry",
        also: &[],
        model: "limits::two_inserts_for_one_free_entry",
    },
    // Subscriptions.
    Weakening {
        name: "a change is not fenced from looking for subscribers",
        file: NOTIFY,
        from: "        domain.light_fence();
        let interest =",
        to: "        let interest =",
        also: &[],
        model: "notify::a_change_against_the_first_look",
    },
    Weakening {
        name: "a change is not fenced from looking for waits",
        file: NOTIFY,
        from: "        domain.light_fence();
        let interest =",
        to: "        let interest =",
        also: &[],
        model: "node_waits::a_change_against_a_wait",
    },
    Weakening {
        name: "a look is not fenced",
        file: NOTIFY,
        from: "Some(if domain.heavy_fence() || self.has_no_owner() {",
        to: "Some(if true {",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a mark is not fenced from looking at the epoch again",
        file: NOTIFY,
        from: "            domain.light_fence();
            let now =",
        to: "            let now =",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a look is fenced before the epoch moves",
        file: NOTIFY,
        from: "        let before = self.shared.epoch.fetch_add(1, Ordering::Relaxed);",
        to: "        let fenced = domain.heavy_fence();
        let before = self.shared.epoch.fetch_add(1, Ordering::Relaxed);",
        also: &[
            (
                NOTIFY,
                "Some(if domain.heavy_fence() || self.has_no_owner() {",
                "Some(if fenced {",
            ),
        ],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "the epoch is not looked at again",
        file: NOTIFY,
        from: "if now == epoch {",
        to: "if now == epoch || true {",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a mark that stands is not looked at again",
        file: NOTIFY,
        from: "            for mark in [mark, &self.shared.newest] {",
        to: "            if mark.load(Ordering::Relaxed) >= epoch && self.shared.newest.load(Ordering::Relaxed) >= epoch {
                return;
            }
            for mark in [mark, &self.shared.newest] {",
        also: &[],
        model: "notify::a_mark_that_another_writer_set",
    },
    Weakening {
        name: "a look begins before it ends",
        file: NOTIFY,
        from: "next: before + 1,",
        to: "next: before + 2,",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a change is marked before it is made",
        file: APPLY,
        from: "        if node.raise(Some(packed), to, now).is_err() {
            contention_backoff();
            return Err(node.entry_state());
        }
        self.changed(node, Some(packed), Some(to));
",
        to: "        self.changed(node, Some(packed), Some(to));
        if node.raise(Some(packed), to, now).is_err() {
            contention_backoff();
            return Err(node.entry_state());
        }
",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a join is not told",
        file: APPLY,
        from: "        self.changed(node, None, Some(to));
",
        to: "        self.status_counts.moved(None, Some(to));
",
        also: &[],
        model: "notify::a_join_against_a_look",
    },
    Weakening {
        name: "a departure is not told",
        file: EVICT,
        from: "        self.changed(node, Some(packed), None);",
        to: "",
        also: &[],
        model: "notify::a_departure_against_a_look",
    },
    Weakening {
        name: "a waiter is not fenced from looking for news",
        file: NOTIFY,
        from: "            if domain.heavy_fence() {
                return match",
        to: "            if true {
                return match",
        also: &[],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "a waiter is fenced before it enlists",
        file: NOTIFY,
        from: "            if !self.waiters.enlist(",
        to: "            let fenced = domain.heavy_fence();
            if !self.waiters.enlist(",
        also: &[
            (
                NOTIFY,
                "            if domain.heavy_fence() {
                return match",
                "            if fenced {
                return match",
            ),
        ],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "a waiter sleeps though its heavy fence failed",
        file: NOTIFY,
        from: "            if domain.heavy_fence() {
                return match",
        to: "            if domain.heavy_fence() || true {
                return match",
        also: &[(
            NOTIFY,
            "        if !subscription.is_unsure {",
            "        if true {",
        )],
        model: "notify::a_change_against_a_waiter_where_membarrier_fails_later",
    },
    Weakening {
        name: "a waiter that enlisted does not look again",
        file: NOTIFY,
        from: "                return match self.answer(subscription) {",
        to: "                return match self.answer(subscription).filter(|_| false) {",
        also: &[],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "waiters are notified before the marks are set",
        file: NOTIFY,
        from: "            self.mark(domain, range);
            self.waiters.notify();",
        to: "            self.waiters.notify();
            self.mark(domain, range);",
        also: &[],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "the last tracker is not fenced from looking for waiters",
        file: NOTIFY,
        from: "            domain.light_fence();
            self.waiters.notify();
        }
    }",
        to: "            self.waiters.notify();
        }
    }",
        also: &[],
        model: "notify::the_last_tracker_goes_while_a_subscriber_waits",
    },
    Weakening {
        name: "the last tracker's count releases nothing",
        file: NOTIFY,
        from: "self.owners.fetch_sub(1, Ordering::Release)",
        to: "self.owners.fetch_sub(1, Ordering::Relaxed)",
        also: &[],
        model: "notify::the_last_tracker_against_a_waiter",
    },
    Weakening {
        name: "the last tracker notifies no subscriber",
        file: NOTIFY,
        from: "            domain.light_fence();
            self.waiters.notify();
        }
    }",
        to: "        }
    }",
        also: &[],
        model: "notify::the_last_tracker_goes_while_a_subscriber_waits",
    },
    Weakening {
        name: "a subscriber that sees no tracker left may miss the last one's marks",
        file: NOTIFY,
        from: "        self.owners.load(Ordering::Acquire) == 0",
        to: "        self.owners.load(Ordering::Relaxed) == 0",
        also: &[],
        model: "notify::the_last_tracker_against_a_waiter",
    },
    Weakening {
        name: "a weak tracker brings back one that is gone",
        file: NOTIFY,
        from: "        while owners > 0 {
            match",
        to: "        loop {
            match",
        also: &[(NOTIFY, "                Err(now) => owners = now,
            }
        }
        false", "                Err(now) => owners = now,
            }
        }")],
        model: "notify::a_weak_tracker_against_the_last_tracker",
    },
    Weakening {
        name: "a weak tracker looks for owners and adds itself in two steps",
        file: NOTIFY,
        from: "        while owners > 0 {
            match",
        to: "        while owners > 0 {
            self.owners.fetch_add(1, Ordering::Relaxed);
            if owners > 0 {
                return true;
            }
            match",
        also: &[],
        model: "notify::a_weak_tracker_against_the_last_tracker",
    },
    // Waits for nodes.
    Weakening {
        name: "a wait for a node is not fenced",
        file: NODE_WAIT,
        from: "            if !core.table.domain().heavy_fence() {",
        to: "            if false {",
        also: &[],
        model: "node_waits::a_change_against_a_wait",
    },
    Weakening {
        name: "a wait for a node does not look again",
        file: NODE_WAIT,
        from: "            fenced_at = Some(index);",
        to: "            if fenced_at != Some(index) {
                return Poll::Pending;
            }",
        also: &[],
        model: "node_waits::a_change_against_a_wait",
    },
    Weakening {
        name: "a wait does not follow its node to another index",
        file: NODE_WAIT,
        from: "if fenced_at == Some(index) {",
        to: "if fenced_at.is_some() {",
        also: &[],
        model: "node_waits::a_node_that_moves_against_a_wait",
    },
    Weakening {
        name: "a join does not notify waits for absent nodes",
        file: NOTIFY,
        from: "            if joined {",
        to: "            if joined && false {",
        also: &[],
        model: "node_waits::a_join_against_a_wait",
    },
    // The node's own incarnation.
    Weakening {
        name: "two threads give out one incarnation",
        file: "src/local.rs",
        from: "            match self.current.compare_exchange_weak(
                own,
",
        to: "            match self.current.compare_exchange_weak(
                self.current.load(Ordering::Acquire),
",
        also: &[],
        model: "local::two_threads_refute",
    },
    Weakening {
        name: "a new incarnation releases nothing",
        file: "src/local.rs",
        from: "                Ordering::Release,
",
        to: "                Ordering::Relaxed,
",
        also: &[],
        model: "local::an_incarnation_is_seen_after_it_was_reserved",
    },
    Weakening {
        name: "the load of the incarnation acquires nothing",
        file: "src/local.rs",
        from: "Incarnation::new(self.current.load(Ordering::Acquire) & !LEFT)",
        to: "Incarnation::new(self.current.load(Ordering::Relaxed) & !LEFT)",
        also: &[],
        model: "local::an_incarnation_is_seen_after_it_was_reserved",
    },
    Weakening {
        name: "advancing acquires nothing",
        file: "src/local.rs",
        from: "let mut own = self.current.load(Ordering::Acquire);",
        to: "let mut own = self.current.load(Ordering::Relaxed);",
        also: &[],
        model: "local::a_thread_that_advances_sees_what_was_reserved",
    },
    Weakening {
        name: "advancing that finds another incarnation acquires nothing",
        file: "src/local.rs",
        from: "                Ordering::Acquire,
            ) {",
        to: "                Ordering::Relaxed,
            ) {",
        also: &[],
        model: "local::a_thread_that_advances_sees_what_was_reserved",
    },
    Weakening {
        name: "leaving acquires nothing",
        file: "src/local.rs",
        from: "self.current.fetch_or(LEFT, Ordering::Acquire)",
        to: "self.current.fetch_or(LEFT, Ordering::Relaxed)",
        also: &[],
        model: "local::a_thread_that_leaves_sees_what_was_reserved",
    },
    // The checker.
    Weakening {
        name: "the checker goes without shadows",
        file: "src/sync/loom/shadows.rs",
        from: "with_choice(choice, on, model);",
        to: "with_choice(choice, on && false, model);",
        also: &[],
        model: "litmus::load_then_exchange_is_explored",
    },
    Weakening {
        name: "the checker's light fence orders nothing",
        file: "src/sync/loom/asymmetric.rs",
        from: "self.mailboxes[me].fetch_add(1, Ordering::AcqRel)",
        to: "self.mailboxes[me].fetch_add(1, Ordering::Relaxed)",
        also: &[],
        model: "litmus::store_buffering_light_heavy",
    },
    Weakening {
        name: "the checker's heavy fence passes on what it finds",
        file: "src/sync/loom/asymmetric.rs",
        from: "mailbox.fetch_add(1, Ordering::Relaxed);",
        to: "mailbox.fetch_add(1, Ordering::AcqRel);",
        also: &[],
        model: "litmus::a_ring_of_three_with_one_heavy",
    },
];

const PORTABLE_SCHEME: &str = "src/reclaim/portable.rs";

/// Those of the portable scheme, over which its models run.
pub const PORTABLE: &[Weakening] = &[
    Weakening {
        name: "portable: a ticket passes at once",
        file: PORTABLE_SCHEME,
        from: "        guard.inner.defer(move || {",
        to: "        raised.store(true, Ordering::Release);
        guard.inner.defer(move || {",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "portable: a ticket passes without a guard",
        file: PORTABLE_SCHEME,
        from: "        ticket.0.load(Ordering::Acquire)",
        to: "        ticket.0.load(Ordering::Acquire) || true",
        also: &[],
        model: "views::a_held_view_reads_on",
    },
    Weakening {
        name: "portable: the ticket is drawn before the unlinking",
        file: PINNED,
        from: "        table.clear_up(hash, node.index, &mut self.unlinked);
        table.count_pending_unlink(self.unlinked.len() - before);",
        to: "        let ticket = table.domain.ticket(&self.pinned.guard);
        table.clear_up(hash, node.index, &mut self.unlinked);
        if self.unlinked.len() > before {
            table.retired.add(ticket, core::mem::take(&mut self.unlinked));
        }",
        also: &[(
            PINNED,
            "        if self.table.unlink_only(hash, node.index) {
            self.table.release_and_retire(&self.guard, node.index);",
            "        let ticket = self.table.domain.ticket(&self.guard);
        if self.table.unlink_only(hash, node.index) {
            self.table.release();
            self.table.retired.add(ticket, node.index.into());",
        )],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "portable: the heavy fence is left out",
        file: PORTABLE_SCHEME,
        from: "        // SeqCst: see `light_fence`.
        fence(Ordering::SeqCst);
",
        to: "",
        also: &[],
        model: "views::a_light_fence_against_a_heavy_one",
    },
    Weakening {
        name: "portable: a handle does not look at the generation",
        file: PINNED,
        from: "(entry.generation() == generation).then_some",
        to: "(entry.generation() >= generation).then_some",
        also: &[],
        model: "handles::recycled_with_the_very_same_packed_state",
    },
];

/// Models that no weakening names otherwise.
pub const FURTHER: &[Further] = &[
    Further {
        weakening: "a notification is not counted before the list is tried",
        model: "wake_list::two_notifications_against_an_enlisting",
    },
    Further {
        weakening: "a notification is not counted before the list is tried",
        model: "notify::a_change_while_the_list_is_held",
    },
    Further {
        weakening: "a notification is not counted before the list is tried",
        model: "notify::a_change_against_two_waiters",
    },
    Further {
        weakening: "a notification is not counted before the list is tried",
        model: "capacity_signal::a_refusal_while_the_list_is_held",
    },
    Further {
        weakening: "a notification is not counted before the list is tried",
        model: "node_waits::a_change_against_two_waits",
    },
    Further {
        weakening: "entries are recycled without a grace period",
        model: "scans::scanner_and_recycling",
    },
    Further {
        weakening: "entries are recycled without a grace period",
        model: "scans::a_node_that_stays_is_seen_once",
    },
    Further {
        weakening: "entries are recycled without a grace period",
        model: "views::a_view_keeps_what_it_saw_and_lets_it_go",
    },
    Further {
        weakening: "two evictions may end one lifetime",
        model: "evictions::two_sweeps_evict_once",
    },
    Further {
        weakening: "two evictions may end one lifetime",
        model: "tombstones::two_sweeps_bury_one_node",
    },
    Further {
        weakening: "two collections take the same batches",
        model: "recycling::a_collection_while_a_sweep_tells",
    },
    Further {
        weakening: "a departure is not told",
        model: "node_waits::a_departure_against_a_wait",
    },
    Further {
        weakening: "a departure is not told",
        model: "node_waits::the_end_of_a_lifetime_against_a_handles_wait",
    },
    Further {
        weakening: "the first last update of a lifetime releases nothing",
        model: "handles::a_read_never_shows_a_claim_on_another_lifetime",
    },
    Further {
        weakening: "a waiter that gives up takes another along",
        model: "notify::one_gives_up_waiting_and_one_does_not",
    },
    Further {
        weakening: "the real fence of both sides is left out",
        model: "notify::a_change_against_a_waiter_where_membarrier_is_refused",
    },
    Further {
        weakening: "a refused claim is not fenced from looking for sweepers",
        model: "capacity_signal::a_refusal_where_membarrier_is_refused_is_swept_for",
    },
    Further {
        weakening: "the signal is taken back after the sweep",
        model: "capacity_signal::a_second_refusal_is_swept_for",
    },
    Further {
        weakening: "the last update is raised after the exchange",
        model: "claims::a_handles_reader_never_sees_an_older_last_update",
    },
    Further {
        weakening: "a claim replaces a state that it did not examine",
        model: "claims::refutation_against_the_end_of_a_suspicion",
    },
    Further {
        weakening: "an insert that loses the race to link keeps its entry",
        model: "data::two_linkers",
    },
    Further {
        weakening: "an insert that loses the race to link keeps its entry",
        model: "inserts::two_inserts_and_a_removal",
    },
    Further {
        weakening: "no second look at the tombstones",
        model: "data::a_refusal_at_the_second_look",
    },
    Further {
        weakening: "hearsay changes a node that was only heard of",
        model: "hearsay::against_a_removal_and_hearsay_again",
    },
    Further {
        weakening: "a tombstone whose eviction fails stays",
        model: "tombstones::forgotten_against_two_tombstones",
    },
    Further {
        weakening: "hearsay that loses its race against an eviction is answered as applied",
        model: "evictions::a_claim_that_races_a_removal_is_retried",
    },
    Further {
        weakening: "a cache is locked without acquiring anything",
        model: "caches::a_join_on_called_in_credits_sees_the_removal_they_stem_from",
    },
    Further {
        weakening: "a claim replaces a state that it did not examine",
        model: "claims::packed_states_only_rise",
    },
];
