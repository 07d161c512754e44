"""Cleanups: they skip the walk over all nodes when nothing can be due, and never miss a node that is."""

import pytest

from incarnation import IncarnationTracker, NodeState, Snapshot

NODE, OTHER = ("a", 1), ("b", 1)
RETENTION = 100.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def make(**options):
    clock = Clock()
    tracker = IncarnationTracker(dead_node_retention_seconds=RETENTION, clock=clock, **options)
    return tracker, clock


def by_update_node(tracker, time):
    assert tracker.update_node(NODE, b"DEAD", 3, time)


def by_update_of_a_known_node(tracker, time):
    assert tracker.update_node(NODE, b"OK", 3, time - 1)
    assert tracker.update_node(NODE, b"DEAD", 3, time)


def by_update(tracker, time):
    assert tracker.update(NODE, b"DEAD", 3, time)


def by_update_many(tracker, time):
    assert tracker.update_many([(OTHER, b"OK", 3), (NODE, b"DEAD", 3)], time) == [True, True]


def by_hear(tracker, time):
    tracker.update_node(NODE, b"OK", 3, time - 1)
    assert tracker.hear(NODE, b"DEAD", 4, time)


def by_merge(tracker, time):
    source = IncarnationTracker()
    source.update_node(NODE, b"DEAD", 3, time)
    snapshot = Snapshot.from_bytes(source.snapshot(time).to_bytes())
    assert tracker.merge(snapshot, time)["joined"] == 1


WAYS_TO_DIE = [
    by_update_node,
    by_update_of_a_known_node,
    by_update,
    by_update_many,
    by_hear,
    by_merge,
]


@pytest.mark.parametrize("die", WAYS_TO_DIE)
@pytest.mark.parametrize("cleaned_before", [False, True])
def test_a_dead_node_is_removed_when_its_retention_ends(die, cleaned_before):
    tracker, clock = make()
    if cleaned_before:
        tracker.update_node(("early", 1), b"DEAD", 1, clock.now - RETENTION - 1)
        tracker.update_node(("later", 1), b"DEAD", 1, clock.now + 50)
        assert tracker.cleanup()["dead_removed"] == 1
    die(tracker, clock.now)
    clock.now += RETENTION
    assert tracker.cleanup_dead_nodes() == 0
    clock.now += 1
    assert tracker.cleanup()["dead_removed"] == 1
    assert NODE not in tracker.node_states


def test_a_dead_node_given_to_the_constructor_is_removed_when_its_retention_ends():
    state = NodeState(status=b"DEAD", incarnation=3, last_update_time=1000.0)
    tracker, clock = make(node_states={NODE: state})
    clock.now += RETENTION
    assert tracker.cleanup_dead_nodes() == 0
    clock.now += 1
    assert tracker.cleanup_dead_nodes() == 1


def test_a_death_told_with_an_earlier_time_is_due_earlier():
    tracker, clock = make()
    tracker.update_node(OTHER, b"DEAD", 3, clock.now)
    assert tracker.cleanup_dead_nodes() == 0
    tracker.update_node(NODE, b"DEAD", 3, clock.now - 60)
    clock.now += 41
    assert tracker.cleanup_dead_nodes() == 1
    assert list(tracker.node_states) == [OTHER]


def test_dead_nodes_that_a_cleanup_leaves_are_removed_by_a_later_one():
    tracker, clock = make()
    for age in range(10):
        tracker.update_node(("h", age), b"DEAD", 3, clock.now - age)
    clock.now += RETENTION - 9.5
    for left in range(10, -1, -1):
        assert tracker.cleanup_dead_nodes() == (left < 10)
        assert len(tracker.node_states) == left
        clock.now += 1.0


def test_a_confirmed_dead_node_keeps_its_status_and_its_later_time():
    tracker, clock = make()
    tracker.update_node(NODE, b"DEAD", 3, clock.now)
    assert tracker.confirm_node(NODE, 4, clock.now + 50) is False
    clock.now += RETENTION + 1
    assert tracker.cleanup_dead_nodes() == 0
    clock.now += 50
    assert tracker.cleanup_dead_nodes() == 1


def test_a_clock_that_goes_back_and_forth_removes_what_is_due():
    tracker, clock = make()
    tracker.update_node(NODE, b"DEAD", 3, clock.now)
    clock.now = 10.0
    assert tracker.cleanup_dead_nodes() == 0
    clock.now = 1000.0 + RETENTION + 1
    assert tracker.cleanup_dead_nodes() == 1


def test_a_full_tracker_is_cleaned_up_when_the_hard_limit_is_max_nodes():
    tracker = IncarnationTracker(max_nodes=3, hard_limit=3, eviction_headroom=0)
    for port in range(3):
        assert tracker.update_node(("h", port), b"OK", 1, 1.0 + port)
    assert not tracker.update_node(NODE, b"OK", 1, 5.0)
    assert tracker.cleanup()["evicted"] == 1
    assert tracker.update_node(NODE, b"OK", 1, 5.0)
