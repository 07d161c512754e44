"""The rule in plain Python: a dict of slotted objects, as the original keeps it.

The tests compare the package with it, and the benchmark measures both. It is written to be fast: no
locks, no checks of types, as few calls as the original's structure allows.
"""

import time
from dataclasses import dataclass, field

from incarnation import MAX_INCARNATION, MAX_INCARNATION_JUMP, MessageFreshness

RANK = {b"UNCONFIRMED": 0, b"OK": 1, b"JOIN": 1, b"SUSPECT": 2, b"DEAD": 3, b"LEFT": 4}
# What an eviction takes first.
EVICTION_ORDER = {b"UNCONFIRMED": 0, b"DEAD": 1, b"LEFT": 1, b"SUSPECT": 2, b"OK": 3, b"JOIN": 3}


@dataclass(slots=True)
class ReferenceState:
    status: bytes = b"OK"
    incarnation: int = 0
    last_update_time: float = 0.0

    def update(self, new_status, new_incarnation, timestamp):
        if new_incarnation == self.incarnation:
            if RANK[new_status] <= RANK[self.status]:
                return False
            if new_status == b"SUSPECT" and self.status == b"UNCONFIRMED":
                return False
        elif new_incarnation < self.incarnation:
            return False
        self.status = new_status
        self.incarnation = new_incarnation
        self.last_update_time = timestamp
        return True


@dataclass
class ReferenceTracker:
    self_incarnation: int = 0
    node_states: dict = field(default_factory=dict)
    max_nodes: int = 10000
    dead_node_retention_seconds: float = 3600.0
    eviction_headroom: int = 100
    clock: object = time.monotonic
    total_evictions: int = 0
    total_cleanups: int = 0

    def is_valid_incarnation(self, incarnation):
        return 0 <= incarnation <= MAX_INCARNATION

    def is_suspicious_jump(self, node, new_incarnation):
        state = self.node_states.get(node)
        if state is None:
            return False
        return new_incarnation - state.incarnation > MAX_INCARNATION_JUMP

    def check_message_freshness(self, node, incarnation, status, validate=True):
        if validate:
            if not self.is_valid_incarnation(incarnation):
                return MessageFreshness.INVALID
            if self.is_suspicious_jump(node, incarnation):
                return MessageFreshness.SUSPICIOUS
        state = self.node_states.get(node)
        if state is None or incarnation > state.incarnation:
            return MessageFreshness.FRESH
        if incarnation < state.incarnation:
            return MessageFreshness.STALE
        if RANK[status] > RANK[state.status]:
            return MessageFreshness.FRESH
        return MessageFreshness.DUPLICATE

    def update_node(self, node, status, incarnation, timestamp, validate=True):
        freshness = self.check_message_freshness(node, incarnation, status, validate)
        if freshness is not MessageFreshness.FRESH:
            return False
        state = self.node_states.get(node)
        if state is None:
            self.node_states[node] = ReferenceState(status, incarnation, timestamp)
            return True
        return state.update(status, incarnation, timestamp)

    def get_node_state(self, node):
        return self.node_states.get(node)

    def add_unconfirmed_node(self, node, timestamp=None):
        if node in self.node_states:
            return False
        now = self.clock() if timestamp is None else timestamp
        self.node_states[node] = ReferenceState(b"UNCONFIRMED", 0, now)
        return True

    def confirm_node(self, node, incarnation=0, timestamp=None):
        now = self.clock() if timestamp is None else timestamp
        state = self.node_states.get(node)
        if state is None:
            self.node_states[node] = ReferenceState(b"OK", incarnation, now)
            return True
        if state.status == b"UNCONFIRMED":
            state.status = b"OK"
            state.incarnation = max(state.incarnation, incarnation)
            state.last_update_time = now
            return True
        if incarnation > state.incarnation:
            state.incarnation = incarnation
            state.last_update_time = now
        return False

    def remove_node(self, node):
        return self.node_states.pop(node, None) is not None

    def cleanup_dead_nodes(self):
        now = self.clock()
        gone = [
            node
            for node, state in self.node_states.items()
            if state.status in (b"DEAD", b"LEFT")
            and now - state.last_update_time > self.dead_node_retention_seconds
        ]
        for node in gone:
            del self.node_states[node]
        self.total_cleanups += len(gone)
        return len(gone)

    def evict_if_needed(self):
        excess = len(self.node_states) - self.max_nodes
        if excess <= 0:
            return 0
        order = sorted(
            self.node_states.items(),
            key=lambda row: (EVICTION_ORDER[row[1].status], row[1].last_update_time),
        )
        gone = order[: excess + self.eviction_headroom]
        for node, _state in gone:
            del self.node_states[node]
        self.total_evictions += len(gone)
        return len(gone)

    def cleanup(self):
        return {
            "dead_removed": self.cleanup_dead_nodes(),
            "evicted": self.evict_if_needed(),
            "total_nodes": len(self.node_states),
        }

    def get_stats(self):
        counts = {b"UNCONFIRMED": 0, b"OK": 0, b"JOIN": 0, b"SUSPECT": 0, b"DEAD": 0, b"LEFT": 0}
        for state in self.node_states.values():
            counts[state.status] += 1
        return {
            "total_nodes": len(self.node_states),
            "unconfirmed_nodes": counts[b"UNCONFIRMED"],
            "ok_nodes": counts[b"OK"] + counts[b"JOIN"],
            "suspect_nodes": counts[b"SUSPECT"],
            "dead_nodes": counts[b"DEAD"],
            "total_evictions": self.total_evictions,
            "total_cleanups": self.total_cleanups,
        }
