"""Snapshots: what a tracker knows, as bytes and as a dict."""

import pytest
from conftest import A, B, C
from hypothesis import given
from hypothesis import strategies as st

from incarnation import IncarnationTracker, NodeState, Snapshot


def filled(clock):
    tracker = IncarnationTracker(clock=clock)
    tracker.update_node(A, b"SUSPECT", 7, 1.0)
    tracker.update_node(("::1", 7946), b"OK", 2, 2.0)
    tracker.add_unconfirmed_node(C, 4.0)
    return tracker


def test_a_snapshot_goes_to_bytes_and_to_a_dict_and_back(clock):
    clock.now = 4.0
    snapshot = filled(clock).snapshot()
    assert len(snapshot) == 3 and snapshot
    assert Snapshot.from_bytes(snapshot.to_bytes()) == snapshot
    as_dict = snapshot.to_dict()
    assert {"node": A, "status": b"SUSPECT", "incarnation": 7, "age": 3.0} in as_dict["nodes"]
    assert as_dict["tombstones"] == []
    assert Snapshot.from_dict(as_dict) == snapshot
    assert Snapshot.from_dict(as_dict).to_bytes() == snapshot.to_bytes()


def test_merging_a_snapshot_makes_another_tracker_know_the_same(clock):
    clock.now = 4.0
    first = filled(clock)
    second = IncarnationTracker(clock=clock)
    second.update_node(A, b"OK", 7, 1.0)
    report = second.merge(Snapshot.from_bytes(first.snapshot().to_bytes()))
    assert (report["joined"], report["applied"], report["rejected"]) == (2, 1, 0)
    assert second.node_states == first.node_states
    assert second.get_node_state(A) == NodeState(b"SUSPECT", 7, 1.0)
    again = second.merge(first.snapshot())
    assert (again["joined"], again["applied"], again["unchanged"]) == (0, 0, 3)


def test_a_merge_tells_what_was_said_of_this_node(clock):
    other = IncarnationTracker(clock=clock)
    other.update_node(A, b"DEAD", 9, 0.0)
    tracker = IncarnationTracker(clock=clock, self_node=A)
    report = tracker.merge(other.snapshot())
    assert report["about_self"] == (b"DEAD", 9)
    assert tracker.answer(report["about_self"]) == 10


def test_an_aged_snapshot_is_older(clock):
    clock.now = 4.0
    snapshot = filled(clock).snapshot().aged(2.5)
    assert {row["age"] for row in snapshot.to_dict()["nodes"]} == {5.5, 4.5, 2.5}


@given(st.binary(max_size=200))
def test_bytes_that_are_no_snapshot_are_a_value_error(data):
    with pytest.raises(ValueError):
        Snapshot.from_bytes(data)


def test_a_damaged_snapshot_is_a_value_error(clock):
    data = filled(clock).snapshot().to_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        with pytest.raises(ValueError):
            Snapshot.from_bytes(bytes(damaged))


@pytest.mark.parametrize(("content", "error", "message"), [
    ({}, ValueError, "no 'nodes'"),
    ({"nodes": 5}, TypeError, "not iterable"),
    ({"nodes": [5]}, TypeError, "must be a dict"),
    ({"nodes": [{"node": A}]}, ValueError, 'no "status"'),
    ({"nodes": [{"node": "a", "status": b"OK", "incarnation": 1}]}, TypeError, "node must be a tuple"),
    ({"nodes": [{"node": A, "status": b"OK", "incarnation": -1}]}, ValueError, "negative"),
    ({"nodes": [{"node": A, "status": b"OK", "incarnation": 1}] * 2}, ValueError, "more than one"),
    ({"nodes": [], "tombstones": [{"node": B, "status": b"OK", "incarnation": 1}]}, ValueError,
     "tombstone"),
])
def test_a_dict_that_is_no_snapshot_is_an_error_that_says_why(content, error, message):
    with pytest.raises(error, match=message):
        Snapshot.from_dict(content)
