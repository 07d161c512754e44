"""Objects attached to nodes: they live as long as their nodes, and are dropped once."""

import gc
import sys
import threading
import weakref

import pytest
from conftest import A, B, collect_until

from incarnation import IncarnationTracker


class Thing:
    def __init__(self, dropped=None):
        self.dropped = dropped

    def __del__(self):
        if self.dropped is not None:
            self.dropped.append(threading.get_ident())


def test_an_object_stays_with_its_node_and_not_with_the_next_of_that_name(tracker):
    tracker.update_node(A, b"OK", 1, 1.0)
    thing = Thing()
    tracker.set_data(A, thing)
    tracker.update_node(A, b"SUSPECT", 2, 1.0)
    assert tracker.get_data(A) is thing
    tracker.remove_node(A)
    assert tracker.get_data(A) is None
    tracker.update_node(A, b"OK", 1, 1.0)
    assert tracker.get_data(A) is None and tracker.get_data(A, 5) == 5


def test_only_a_known_node_has_data(tracker):
    assert tracker.get_data(A, "none") == "none"
    with pytest.raises(KeyError):
        tracker.set_data(A, 1)


def test_the_factory_makes_one_object_a_node_at_the_first_question(clock):
    made = []

    def make(node):
        made.append(node)
        return {"node": node}

    tracker = IncarnationTracker(clock=clock, node_data=make)
    tracker.update_node(A, b"OK", 1, 1.0)
    assert tracker.get_data(A) is tracker.get_data(A)
    assert tracker.get_data(B) is None
    assert made == [A]


def test_an_exception_of_the_factory_propagates_and_is_no_data(clock):
    calls = []

    def make(_node):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("not yet")
        return "made"

    tracker = IncarnationTracker(clock=clock, node_data=make)
    tracker.update_node(A, b"OK", 1, 1.0)
    with pytest.raises(RuntimeError, match="not yet"):
        tracker.get_data(A)
    assert tracker.get_data(A) == "made"


def test_data_that_is_dropped_without_the_gil_is_handed_to_a_thread_that_holds_it(clock):
    """A cleanup evicts and frees without the GIL: the objects' finalizers are Python code."""
    dropped = []
    tracker = IncarnationTracker(clock=clock, dead_node_retention_seconds=1.0)
    nodes = [(f"h{number}", 1) for number in range(500)]
    references = [sys.getrefcount(node) for node in nodes]
    for node in nodes:
        tracker.update_node(node, b"DEAD", 1, 0.0)
        tracker.set_data(node, Thing(dropped))
    del node
    clock.now = 10.0
    assert tracker.cleanup_dead_nodes() == 500

    def all_dropped():
        # Another sweep that has something to do, and so frees what waits.
        tracker.update_node(A, b"DEAD", 1, 0.0)
        tracker.cleanup_dead_nodes()
        return len(dropped) == 500

    assert collect_until(all_dropped), len(dropped)
    assert set(dropped) == {threading.get_ident()}
    assert [sys.getrefcount(node) for node in nodes] == references


def test_data_is_dropped_once_when_threads_remove_and_add_nodes():
    dropped, rounds, threads = [], 200, 4
    tracker = IncarnationTracker()
    made = []

    def work(number):
        for round_ in range(rounds):
            node = (f"h{(number + round_) % 5}", 1)
            tracker.update_node(node, b"OK", round_, 1.0, validate=False)
            thing = Thing(dropped)
            made.append(1)
            try:
                tracker.set_data(node, thing)
            except KeyError:
                pass
            tracker.remove_node(node)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    del tracker
    assert collect_until(lambda: len(dropped) == len(made)), (len(dropped), len(made))


def test_data_that_refers_to_its_tracker_is_collected():
    class Holder:
        pass

    tracker = IncarnationTracker()
    tracker.update_node(A, b"OK", 1, 1.0)
    holder = Holder()
    holder.tracker = tracker
    tracker.set_data(A, holder)
    tracker.set_eviction_callback(lambda *_: tracker)
    reference = weakref.ref(holder)
    del tracker, holder
    gc.collect()
    assert reference() is None
