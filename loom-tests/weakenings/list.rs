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

const ENTRY: &str = "src/table/entry.rs";
const CHAIN: &str = "src/table/chain.rs";
const SHARD: &str = "src/table/shard.rs";
const SLAB: &str = "src/table/slab.rs";
const LIMBO: &str = "src/table/limbo.rs";
const PINNED: &str = "src/table/pinned.rs";
const TABLE: &str = "src/table/mod.rs";
const BELL: &str = "src/bell.rs";
const GRAVES: &str = "src/graves.rs";
const SWEEP: &str = "src/tracker/sweep.rs";
const SWEEPER: &str = "src/sweeper.rs";
const NOTIFY: &str = "src/notify.rs";
const CORE: &str = "src/tracker/core.rs";
const RECLAIM: &str = "src/reclaim/asymmetric.rs";
const RECORD: &str = "src/reclaim/asymmetric/record.rs";

pub const LIST: &[Weakening] = &[
    // The word and its stamp.
    Weakening {
        name: "the stamp is raised after the exchange",
        file: ENTRY,
        from: "        if self.stamp.load(Ordering::Relaxed) < now.as_nanos() {
            self.stamp.fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
        self.word",
        to: "let _late = Late(&self.stamp, now.as_nanos());
        struct Late<'a>(&'a AtomicU64, u64);
        impl Drop for Late<'_> {
            fn drop(&mut self) {
                self.0.fetch_max(self.1, Ordering::Relaxed);
            }
        }
        self.word",
        also: &[],
        model: "claims::stamp_before_publish",
    },
    Weakening {
        name: "the exchange of the word releases nothing",
        file: ENTRY,
        from: "// Release: publishes the stamp. Acquire: a judge that comes after this one sees all
                // that the judged word's writer had done (its burial among it).
                Ordering::AcqRel,",
        to: "Ordering::Acquire,",
        also: &[],
        model: "claims::stamp_before_publish",
    },
    Weakening {
        name: "the load of the word acquires nothing",
        file: ENTRY,
        from: "self.word.load(Ordering::Acquire)",
        to: "self.word.load(Ordering::Relaxed)",
        also: &[],
        model: "scans::scanner_and_insert",
    },
    Weakening {
        name: "an eviction takes a fresh word",
        file: PINNED,
        from: "node.entry.evict(Some(judged))?;",
        to: "let _ = judged; node.entry.evict(node.entry.word())?;",
        also: &[],
        model: "claims::update_against_sweep_on_the_exact_word",
    },
    Weakening {
        name: "a claim takes a fresh word",
        file: PINNED,
        from: "self.entry.raise(from, to, now)",
        to: "self.entry.raise(from.and_then(|_| self.entry.word()), to, now)",
        also: &[],
        model: "claims::two_updates_of_one_node",
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
        model: "graves::a_whole_life_inside_an_old_claim",
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
        from: "let second = entry.next.load(Ordering::Acquire);",
        to: "let second = entry.next.load(Ordering::Relaxed);",
        also: &[(
            CHAIN,
            "next = entry.next.load(Ordering::Acquire);",
            "next = entry.next.load(Ordering::Relaxed);",
        )],
        model: "graves::old_claim_against_burial_in_the_middle",
    },
    Weakening {
        name: "unlinking in the middle releases nothing",
        file: CHAIN,
        from: "previous.next.store(after, Ordering::Release)",
        to: "previous.next.store(after, Ordering::Relaxed)",
        also: &[],
        model: "graves::a_burial_whose_unlinking_is_handed_over",
    },
    Weakening {
        name: "unlinking at the head releases nothing",
        file: CHAIN,
        from: "                        // `graves::a_burial_at_the_head_is_handed_over`.
                        Ordering::Release,",
        to: "                        Ordering::Relaxed,",
        also: &[],
        model: "graves::a_burial_at_the_head_is_handed_over",
    },
    // Permits and debris.
    Weakening {
        name: "the permit is ignored",
        file: SHARD,
        from: ".compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()",
        to: ".compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok_and(|_| true) || true",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "the holder does not look again",
        file: SHARD,
        from: "if shard.debris.load(Ordering::Relaxed) == seen {",
        to: "if shard.debris.load(Ordering::Relaxed) == seen || true {",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "the evictor's fence is left out",
        file: SHARD,
        from: "// our count. Pinned by `evictions::debris_is_handed_over`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "the permit holder's fence is left out",
        file: SHARD,
        from: "// SeqCst: against the evictors' fence above.
            fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "the permit's release releases nothing",
        file: SHARD,
        from: "self.permit.store(false, Ordering::Release);",
        to: "self.permit.store(false, Ordering::Relaxed);",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "only the own entry is unlinked",
        file: SHARD,
        from: "for head in first..end {",
        to: "for head in first..first.min(end) {",
        also: &[],
        model: "evictions::debris_is_handed_over",
    },
    Weakening {
        name: "debris of others is taken for one's own",
        file: SHARD,
        from: "if handled == mine && seen == mine + 1 {",
        to: "if seen == mine + 1 {",
        also: &[],
        model: "evictions::debris_of_another_chain_is_handed_over",
    },
    Weakening {
        name: "the holder looks at its own chain only",
        file: SHARD,
        from: "                for head in first..end {
                    self.unlink_evicted(head, unlinked);
                }",
        to: "                let _ = first..end;
                self.unlink_evicted(head, unlinked);",
        also: &[],
        model: "evictions::debris_of_another_chain_is_handed_over",
    },
    Weakening {
        name: "a refused linker leaves its entry",
        file: PINNED,
        from: "if self.node.entry.life() == Life::Vacant && self.node.entry.evict(None).is_ok() {",
        to: "if self.node.entry.life() == Life::Evicted && self.node.entry.evict(None).is_ok() {",
        also: &[],
        model: "graves::a_whole_life_inside_an_old_claim",
    },
    Weakening {
        name: "a refused linker does not unlink its entry",
        file: PINNED,
        from: "            self.pinned.retiring().unlink(self.node);",
        to: "",
        also: &[],
        model: "graves::a_whole_life_inside_an_old_claim",
    },
    Weakening {
        name: "who comes late to link keeps its entry",
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
        from: "        table.clear_up(hash, &mut self.unlinked);
        table.count_debris(self.unlinked.len() - before);",
        to: "        let ticket = table.domain.ticket(&self.pinned.guard);
        table.clear_up(hash, &mut self.unlinked);
        if self.unlinked.len() > before {
            table.limbo.add(ticket, core::mem::take(&mut self.unlinked));
        }",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "entries are recycled without a grace period",
        file: LIMBO,
        from: "if !horizon.passed(&retired.ticket) {",
        to: "if !horizon.passed(&retired.ticket) && false {",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "the reader's fence is left out",
        file: RECLAIM,
        from: "            // none of it. Pinned by `views::lookup_across_unlink_and_recycling`.
            fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "the freeing side's fence is left out",
        file: RECLAIM,
        from: "            // `views::lookup_across_unlink_and_recycling`.
            fence(Ordering::SeqCst);
            true",
        to: "            true",
        // The permit's fence lies between the unlinking and the scan too.
        also: &[(
            SHARD,
            "// SeqCst: against the evictors' fence above.
            fence(Ordering::SeqCst);",
            "",
        )],
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
        name: "a new record forgets who came meanwhile",
        file: RECLAIM,
        from: "        loop {
            // SAFETY: not in the list yet, so nobody else has it.
            unsafe { (*record).0.next = head };",
        to: "        unsafe { (*record).0.next = head };
        loop {",
        also: &[],
        model: "views::two_threads_that_are_new",
    },
    Weakening {
        name: "a record is given back before it is idle",
        file: RECORD,
        from: "        self.be_idle(if others & FENCED == 0 {
            IDLE
        } else {
            IDLE_FENCED
        });
        if others & PASSING != 0 {
            self.give_back();
        }",
        to: "        if others & PASSING != 0 {
            self.give_back();
        }
        self.be_idle(if others & FENCED == 0 {
            IDLE
        } else {
            IDLE_FENCED
        });",
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
        from: "        if others & GUARDS > 0 {",
        to: "        if others & GUARDS > 1 {",
        also: &[],
        model: "views::an_inner_view_leaves_the_outer_pinned",
    },
    Weakening {
        name: "the batches are not released",
        file: LIMBO,
        from: "                // the top is an exchange and continues their release sequences.
                Ordering::Release,",
        to: "                Ordering::Relaxed,",
        also: &[],
        model: "recycling::a_batch_is_whole",
    },
    Weakening {
        name: "settled before the batches are taken",
        file: LIMBO,
        from: "        let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        if next.is_null() {
            return;
        }
        // So that nobody else pays for a fence because of the entries that wait for this one.
        self.collected();
        let horizon = domain.settle();
",
        to: "        let horizon = domain.settle();
        let mut next = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        if next.is_null() {
            return;
        }
        self.collected();
",
        also: &[],
        model: "recycling::a_collection_while_a_sweep_tells",
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
        name: "the free list does not count",
        file: SLAB,
        from: "    ((top >> 32).wrapping_add(1)) << 32 | index as u64",
        to: "    (top >> 32) << 32 | index as u64",
        also: &[],
        model: "recycling::a_place_comes_back_while_another_thread_takes_it",
    },
    Weakening {
        name: "the stamp of a claim is stored",
        file: ENTRY,
        from: "            self.stamp.fetch_max(now.as_nanos(), Ordering::Relaxed);",
        to: "            self.stamp.store(now.as_nanos(), Ordering::Relaxed);",
        also: &[],
        model: "claims::two_updates_of_one_node",
    },
    // Graves.
    Weakening {
        name: "no second look at the graves",
        file: CORE,
        from: "self.judge_buried(found, proposal, now) {",
        to: "judge(Situation::default(), proposal, &self.policy) {",
        also: &[],
        model: "graves::a_whole_life_inside_an_old_claim",
    },
    Weakening {
        name: "the burial comes after the eviction",
        file: CORE,
        from: "        let mut burial = Burial::NotKept;
        if word",
        to: "        let mut burial = Burial::NotKept;
        retiring.evict(node, word)?;
        if word",
        also: &[(
            CORE,
            "if let Err(life) = retiring.evict(node, word) {",
            "if let Err(life) = Ok(()) {",
        )],
        model: "graves::old_claim_against_burial",
    },
    Weakening {
        name: "a join ends any grave",
        file: GRAVES,
        from: "grave.burial == found.burial;",
        to: "grave.burial <= u64::MAX;",
        also: &[],
        model: "graves::a_join_ends_a_grave_while_the_joiner_dies",
    },
    Weakening {
        name: "a join ends any grave below it",
        file: GRAVES,
        from: "            && found.grave.word < word
        {
            self.end(key, found);",
        to: "            && found.grave.word < word
            && self.map.remove_if(key, |grave| grave.grave.word < word)
        {
            self.uncount();",
        also: &[],
        model: "graves::a_late_join_ends_no_later_grave",
    },
    // Evictions.
    Weakening {
        name: "an eviction releases nothing",
        file: ENTRY,
        from: "                // Release: who finds the node gone finds its grave, written before. Acquire: as in
                // `raise`. Pinned by `graves::old_claim_against_burial`.
                Ordering::AcqRel,",
        to: "                Ordering::Acquire,",
        also: &[],
        model: "graves::old_claim_against_burial",
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
            "            if known <= self.lifetimes.max_nodes {
                return;
            }
            candidates.truncate(known - goal);
",
            "            let _ = (known, &mut candidates);
",
        )],
        model: "limits::two_sweeps_take_one_surplus",
    },
    // Graves that end.
    Weakening {
        name: "two burials whose evictions fail leave a grave",
        file: GRAVES,
        from: "                known.standing = known.standing.saturating_add(1);",
        to: "                known.standing = known.standing.saturating_add(2);",
        also: &[],
        model: "graves::a_newer_claim_against_two_burials",
    },
    Weakening {
        name: "a grave that others count on is taken back",
        file: GRAVES,
        from: "is_it(grave) && grave.standing == 0)",
        to: "is_it(grave))",
        also: &[],
        model: "graves::two_removals_bury_one_node",
    },
    Weakening {
        name: "a grave is ended for a joiner before anybody counts it",
        file: "src/snapshot/merge.rs",
        from: "                        core.tally.count_grave_ended_for_a_joiner();",
        to: "",
        also: &[],
        model: "graves::a_snapshot_while_a_merged_grave_meets_a_join",
    },
    Weakening {
        name: "word and grave of one heard of are of two moments",
        file: CORE,
        from: "            Life::Live(still) if still == word => {",
        to: "            _ => {",
        also: &[(CORE, "            moved => Err(moved),
        }
    }

    fn judge_unknown", "        }
    }

    fn judge_unknown")],
        model: "graves::a_judgement_of_one_heard_of_while_it_is_forgotten",
    },
    Weakening {
        name: "a burial whose eviction fails stays",
        file: CORE,
        from: "            self.graves.take_back(node.key(), burial);
            return Err(life);",
        to: "            return Err(life);",
        also: &[],
        model: "graves::a_newer_claim_against_a_burial",
    },
    Weakening {
        name: "a judgement does not look again for the node",
        file: CORE,
        from: "            if known(pinned, hash, key).is_none() && self.tally.arrivals() == joins {
                return judgement;
            }",
        to: "            let _ = joins;
            return judgement;",
        also: &[],
        model: "graves::a_judgement_while_a_join_ends_the_grave",
    },
    Weakening {
        name: "a join is counted after its grave has ended",
        file: CORE,
        from: "        self.tally.count_join();
        self.graves.end_below(node.key(), found, to);
",
        to: "        self.graves.end_below(node.key(), found, to);
        self.tally.count_join();
",
        also: &[],
        model: "graves::a_judgement_while_a_joiner_is_taken_out",
    },
    Weakening {
        name: "a join is counted without releasing anything",
        file: "src/tally.rs",
        from: "joins.fetch_add(1, Ordering::Release)",
        to: "joins.fetch_add(1, Ordering::Relaxed)",
        also: &[],
        model: "graves::a_judgement_while_a_whole_life_ends_the_grave",
    },
    Weakening {
        name: "the number of joins acquires nothing",
        file: "src/tally.rs",
        from: "line.joins.load(Ordering::Acquire)",
        to: "line.joins.load(Ordering::Relaxed)",
        also: &[],
        model: "graves::a_judgement_while_a_whole_life_ends_the_grave",
    },
    Weakening {
        name: "a judgement misses a whole life",
        file: CORE,
        from: "known(pinned, hash, key).is_none() && self.tally.arrivals() == joins {",
        to: "known(pinned, hash, key).is_none() && joins <= u64::MAX {",
        also: &[],
        model: "graves::a_judgement_while_a_whole_life_ends_the_grave",
    },
    Weakening {
        name: "the end of a grave releases nothing",
        file: GRAVES,
        from: "self.count.fetch_sub(1, Ordering::Release);",
        to: "self.count.fetch_sub(1, Ordering::Relaxed);",
        also: &[],
        model: "graves::a_judgement_while_a_join_ends_the_grave",
    },
    Weakening {
        name: "the number of graves acquires nothing",
        file: GRAVES,
        from: "self.count.load(Ordering::Acquire) as usize",
        to: "self.count.load(Ordering::Relaxed) as usize",
        also: &[],
        model: "graves::a_judgement_while_a_join_ends_the_grave",
    },
    Weakening {
        name: "a grave is counted after it is dug",
        file: GRAVES,
        from: "        let reserved = self.reserve();
        if self.map.upsert(key, new, deepen) {
            core::mem::forget(reserved);",
        to: "        if self.map.upsert(key, new, deepen) {
            core::mem::forget(self.reserve());",
        also: &[],
        model: "graves::a_burial_while_other_graves_end",
    },
    Weakening {
        name: "a grave whose time is over counts",
        file: GRAVES,
        from: "grave.word > known.grave.word || self.expired(known.grave, now)",
        to: "grave.word > known.grave.word",
        also: &[],
        model: "graves::a_burial_over_a_grave_whose_time_is_over",
    },
    Weakening {
        name: "a lost race for a vacant entry keeps its place",
        file: CORE,
        from: "            self.table.release();
            return Err(life);",
        to: "            return Err(life);",
        also: &[],
        model: "limits::two_claims_of_one_node_for_the_last_place",
    },
    // Merging.
    Weakening {
        name: "merging loses entries",
        file: LIMBO,
        from: "merged.entries.append(batch.entries);",
        to: "drop(batch.entries);",
        also: &[],
        model: "recycling::what_a_view_holds_up_is_merged_and_let_go",
    },
    // The bell.
    Weakening {
        name: "no claim rings",
        file: CORE,
        from: "        self.bell.ring();
",
        to: "",
        also: &[],
        model: "bell::a_refused_claim_is_swept_for",
    },
    Weakening {
        name: "the ringer is not fenced from looking for a press",
        file: BELL,
        from: "        // who listens. Pinned by `bell::a_refusal_inside_a_view_is_swept_for`.
        fence(Ordering::SeqCst);",
        to: "",
        also: &[],
        model: "bell::a_refusal_inside_a_view_is_swept_for",
    },
    Weakening {
        name: "the press is taken back after the sweep",
        file: SWEEPER,
        from: "            bell.take_note();
            let made_room = self.sweep(&mut on_swept);",
        to: "            let made_room = self.sweep(&mut on_swept);
            bell.take_note();",
        also: &[],
        model: "bell::a_refused_claim_is_swept_for",
    },
    Weakening {
        name: "the bell is not counted before its list is tried",
        file: BELL,
        from: "        self.rung.fetch_add(1, Ordering::Release);",
        to: "",
        also: &[],
        model: "bell::a_ring_while_the_list_is_held",
    },
    Weakening {
        name: "the holder of the bell is deaf",
        file: BELL,
        from: "self.rung.load(Ordering::Relaxed) == heard",
        to: "self.rung.load(Ordering::Relaxed) == heard || true",
        also: &[],
        model: "bell::a_ring_while_the_list_is_held",
    },
    Weakening {
        name: "asking for a sweep releases nothing",
        file: SWEEPER,
        from: "self.shared.asked.swap(true, Ordering::Release);",
        to: "self.shared.asked.swap(true, Ordering::Relaxed);",
        also: &[],
        model: "bell::who_asks_for_a_sweep_is_swept_for",
    },
    // Handles.
    Weakening {
        name: "a handle does not look at the generation",
        file: PINNED,
        from: "(entry.generation() == generation).then_some",
        to: "(entry.generation() >= generation).then_some",
        also: &[],
        model: "handles::recycled_with_the_very_same_word",
    },
    Weakening {
        name: "a handle looks at the generation first",
        file: PINNED,
        from: "        let word = entry.word()?;
        (entry.generation() == generation).then_some((Node { entry, index }, word))",
        to: "        let same = entry.generation() == generation;
        let word = entry.word()?;
        same.then_some((Node { entry, index }, word))",
        also: &[],
        model: "handles::recycled_with_the_very_same_word",
    },
    // Limits.
    Weakening {
        name: "a reservation is a load and a store",
        file: TABLE,
        from: "            match self.live.compare_exchange_weak(
                live,
                live + 1,",
        to: "            self.live.store(live + 1, Ordering::Relaxed);
            match self.live.compare_exchange_weak(
                live + 1,
                live + 1,",
        also: &[],
        model: "limits::two_inserts_for_one_place",
    },
    Weakening {
        name: "a reservation acquires nothing",
        file: TABLE,
        from: "                // the one that made room. Pinned by `limits::reserve_at_the_hard_limit`.
                Ordering::Acquire,",
        to: "                Ordering::Relaxed,",
        also: &[],
        model: "limits::reserve_at_the_hard_limit",
    },
    Weakening {
        name: "giving a reservation back releases nothing",
        file: TABLE,
        from: "self.live.fetch_sub(1, Ordering::Release);",
        to: "self.live.fetch_sub(1, Ordering::Relaxed);",
        also: &[],
        model: "limits::reserve_at_the_hard_limit",
    },
    Weakening {
        name: "a refusal after linking is not counted",
        file: CORE,
        from: "Ok(verdict) => return Some(self.noted(verdict)),",
        to: "Ok(verdict) => return Some(verdict),",
        also: &[],
        model: "limits::two_inserts_for_one_place",
    },
    // Subscriptions.
    Weakening {
        name: "a change is not fenced from looking for subscribers",
        file: NOTIFY,
        from: "        domain.light_fence();
        let epoch =",
        to: "        let epoch =",
        also: &[],
        model: "notify::a_change_against_the_first_look",
    },
    Weakening {
        name: "a look is not fenced",
        file: NOTIFY,
        from: "Some(if domain.heavy_fence() {",
        to: "Some(if true {",
        // The pin that follows is a fence, too, where fences are real.
        also: &[(
            RECORD,
            "        if there == IDLE_FENCED {
            self.announce(registry);
            registry.light_fence();",
            "        if there == IDLE_FENCED {
            self.announce(registry);",
        )],
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
        from: "        let before = self.shared.epoch.fetch_add(STEP, Ordering::Relaxed);",
        to: "        let fenced = domain.heavy_fence();
        let before = self.shared.epoch.fetch_add(STEP, Ordering::Relaxed);",
        // The pin that follows is a fence, too, where fences are real.
        also: &[
            (NOTIFY, "Some(if domain.heavy_fence() {", "Some(if fenced {"),
            (
                RECORD,
                "        if there == IDLE_FENCED {
            self.announce(registry);
            registry.light_fence();",
                "        if there == IDLE_FENCED {
            self.announce(registry);",
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
                break;
            }
            for mark in [mark, &self.shared.newest] {",
        also: &[],
        model: "notify::a_mark_that_another_writer_set",
    },
    Weakening {
        name: "a look begins before it ends",
        file: NOTIFY,
        from: "next: before + STEP,",
        to: "next: before + STEP + STEP,",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a change is marked before it is made",
        file: CORE,
        from: "        if node.raise(Some(word), to, now).is_err() {
            stand_aside();
            return Err(node.life());
        }
        self.changed(node, Some(word), Some(to));
",
        to: "        self.changed(node, Some(word), Some(to));
        if node.raise(Some(word), to, now).is_err() {
            stand_aside();
            return Err(node.life());
        }
",
        also: &[],
        model: "notify::a_mark_against_a_look",
    },
    Weakening {
        name: "a departure is not told",
        file: CORE,
        from: "        self.changed(node, Some(word), None);",
        to: "",
        also: &[],
        model: "notify::a_departure_against_a_look",
    },
    Weakening {
        name: "enlisting is not fenced",
        file: NOTIFY,
        from: "(!domain.heavy_fence() || self.has_news(subscription))",
        to: "self.has_news(subscription)",
        // Letting go of the list is a fence, too, as it happens.
        also: &[(
            NOTIFY,
            "        // SeqCst: against the fence in `ring`.
        fence(Ordering::SeqCst);",
            "",
        )],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "who would wait is fenced before enlisting",
        file: NOTIFY,
        from: "        let replaced = self.with_list(|list| {
            let known = list",
        to: "        let fenced = domain.heavy_fence();
        let replaced = self.with_list(|list| {
            let known = list",
        // Letting go of the list is a fence, too, as it happens.
        also: &[
            (NOTIFY, "(!domain.heavy_fence() || self.has_news(subscription))", "(!fenced || self.has_news(subscription))"),
            (
                NOTIFY,
                "        // SeqCst: against the fence in `ring`.
        fence(Ordering::SeqCst);",
                "",
            ),
        ],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "who enlisted does not look again",
        file: NOTIFY,
        from: "if is_new && (!domain.heavy_fence() || self.has_news(subscription)) {",
        to: "if is_new && !domain.heavy_fence() {",
        also: &[],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "waiters are looked for before the marks",
        file: NOTIFY,
        from: "        while somebody_subscribes(epoch) {",
        to: "        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        while somebody_subscribes(epoch) {",
        also: &[(
            NOTIFY,
            "        if self.shared.waiting.load(Ordering::Relaxed) {
            self.ring();",
            "        if waiting {
            self.ring();",
        )],
        model: "notify::a_change_against_a_waiter",
    },
    Weakening {
        name: "the holder of the list is deaf",
        file: NOTIFY,
        from: "        if self.let_go(list) {",
        to: "        if self.let_go(list) && false {",
        also: &[],
        model: "notify::a_ring_while_the_list_is_held",
    },
    Weakening {
        name: "the bell is not rung",
        file: NOTIFY,
        from: "self.shared.rung.fetch_add(1, Ordering::Release);",
        to: "",
        also: &[],
        model: "notify::a_ring_while_the_list_is_held",
    },
    Weakening {
        name: "who wakes hears rings that come later",
        file: NOTIFY,
        from: "            list.heard = self.shared.rung.load(Ordering::Acquire);
            let waiters = mem::take(&mut list.waiters);",
        to: "            let waiters = mem::take(&mut list.waiters);
            list.heard = self.shared.rung.load(Ordering::Acquire) + 1;",
        also: &[],
        model: "notify::a_ring_while_the_list_is_held",
    },
    Weakening {
        name: "one that gives up takes the others along",
        file: NOTIFY,
        from: "let cancelled = place.map(|place| list.waiters.swap_remove(place));",
        to: "let cancelled = place.map(|_| mem::take(&mut list.waiters));",
        also: &[],
        model: "notify::one_gives_up_waiting_and_one_does_not",
    },
    Weakening {
        name: "waiters are counted out after the list was let go",
        file: NOTIFY,
        from: "        self.shared.waiting.store(false, Ordering::Relaxed);
            let unheard = self.let_go(list);
",
        to: "        let unheard = self.let_go(list);
            self.shared.waiting.store(false, Ordering::Relaxed);
",
        also: &[],
        model: "notify::a_waiter_that_enlists_while_another_is_woken",
    },
    // The checker.
    Weakening {
        name: "the checker goes without shadows",
        file: "src/sync/loom.rs",
        from: "with_flag(&SHADOWS, on, model);",
        to: "with_flag(&SHADOWS, on && false, model);",
        also: &[],
        model: "litmus::load_then_exchange_is_explored",
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
        from: "        table.clear_up(hash, &mut self.unlinked);
        table.count_debris(self.unlinked.len() - before);",
        to: "        let ticket = table.domain.ticket(&self.pinned.guard);
        table.clear_up(hash, &mut self.unlinked);
        if self.unlinked.len() > before {
            table.limbo.add(ticket, core::mem::take(&mut self.unlinked));
        }",
        also: &[],
        model: "views::lookup_across_unlink_and_recycling",
    },
    Weakening {
        name: "portable: a handle does not look at the generation",
        file: PINNED,
        from: "(entry.generation() == generation).then_some",
        to: "(entry.generation() >= generation).then_some",
        also: &[],
        model: "handles::recycled_with_the_very_same_word",
    },
];
