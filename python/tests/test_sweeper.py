"""The thread that cleans up."""

import gc
import threading
import time
import weakref

import pytest
from conftest import A, B

from incarnation import IncarnationTracker


def wait_until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "still not so"
        time.sleep(0.002)


def test_it_removes_the_dead_and_tells_the_callback():
    gone = []
    tracker = IncarnationTracker(dead_node_retention_seconds=0.0)
    tracker.set_eviction_callback(lambda node, state: gone.append(node))
    tracker.update_node(A, b"DEAD", 1, 0.0)
    tracker.record_node_death(A, 1, 0.0)
    with tracker.sweeper(0.001) as sweeper:
        wait_until(lambda: gone == [A])
        wait_until(lambda: tracker.get_stats()["active_death_records"] in (0, 1))
        assert sweeper.running
    assert not sweeper.running


def test_a_refusal_for_lack_of_room_makes_it_clean_up_at_once():
    tracker = IncarnationTracker(max_nodes=2, hard_limit=3, eviction_headroom=1)
    with tracker.sweeper(3600.0) as sweeper:
        wait_until(lambda: sweeper.sweeps == 1)
        for number in range(3):
            assert tracker.update_node((f"h{number}", 1), b"OK", 1, float(number))
        assert not tracker.update_node(A, b"OK", 1, 9.0)
        wait_until(lambda: sweeper.sweeps == 2)
        assert tracker.update_node(A, b"OK", 1, 9.0)


def test_it_goes_on_after_an_exception(monkeypatch):
    reports, calls = [], []
    monkeypatch.setattr(threading, "excepthook", reports.append)

    def clock():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no time")
        return 1e6

    tracker = IncarnationTracker(dead_node_retention_seconds=0.0, clock=clock)
    tracker.update_node(A, b"DEAD", 1, 0.0)
    with tracker.sweeper(0.001):
        wait_until(lambda: A not in tracker.node_states)
    assert [str(report.exc_value) for report in reports] == ["no time"]


def test_it_sweeps_when_asked_and_ends_with_its_tracker():
    tracker = IncarnationTracker(dead_node_retention_seconds=0.0)
    sweeper = tracker.sweeper(3600.0)
    wait_until(lambda: sweeper.sweeps == 1)
    tracker.update_node(B, b"DEAD", 1, 0.0)
    sweeper.sweep_now()
    wait_until(lambda: B not in tracker.node_states)
    reference = weakref.ref(tracker)
    del tracker
    gc.collect()
    assert reference() is None
    sweeper.sweep_now()
    wait_until(lambda: not sweeper.running)


def test_an_interval_of_nothing_is_a_value_error(tracker):
    for interval in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="interval"):
            tracker.sweeper(interval)


def test_a_sweeper_that_stops_leaves_another_one_its_calls():
    tracker = IncarnationTracker(max_nodes=1, hard_limit=1, eviction_headroom=0)
    with tracker.sweeper(3600.0) as stays:
        wait_until(lambda: stays.sweeps == 1)
        tracker.sweeper(3600.0).stop()
        assert tracker.update_node(A, b"OK", 1, 1.0)
        assert not tracker.update_node(B, b"OK", 1, 1.0)
        wait_until(lambda: stays.sweeps == 2)
