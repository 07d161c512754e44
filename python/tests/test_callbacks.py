"""Functions of the program: their exceptions are reported or propagate, and never lead to a deadlock."""

import threading

import pytest
from conftest import A, B

from incarnation import IncarnationTracker


def with_dead(nodes, **options):
    tracker = IncarnationTracker(dead_node_retention_seconds=1.0, clock=lambda: 100.0, **options)
    for node in nodes:
        tracker.update_node(node, b"DEAD", 1, 0.0)
    return tracker


def test_an_exception_in_the_eviction_callback_is_reported_and_the_others_are_called(unraisable):
    tracker, called = with_dead([A, B]), []

    def broken(node, _state):
        called.append(node)
        raise ValueError(f"about {node[0]}")

    tracker.set_eviction_callback(broken)
    assert tracker.cleanup()["dead_removed"] == 2
    assert sorted(called) == [A, B]
    assert sorted(map(str, unraisable)) == [f"about {A[0]}", f"about {B[0]}"]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_an_exception_that_ends_the_program_propagates_after_the_other_calls(ending):
    tracker, called = with_dead([A, B]), []

    def ends(node, _state):
        called.append(node)
        if len(called) == 1:
            raise ending

    tracker.set_eviction_callback(ends)
    with pytest.raises(ending):
        tracker.cleanup()
    assert sorted(called) == [A, B] and len(tracker.node_states) == 0


def test_the_callback_may_use_the_tracker_and_other_threads():
    tracker = with_dead([A])

    def back(node, state):
        assert node not in tracker.node_states
        # A thread that needs the GIL, and this one waits for it.
        thread = threading.Thread(target=tracker.update_node, args=(node, b"OK", 2, 5.0))
        thread.start()
        thread.join()
        tracker.cleanup()

    tracker.set_eviction_callback(back)
    assert tracker.cleanup()["dead_removed"] == 1
    assert tracker.get_node_state(A).incarnation == 2


def test_the_callback_gets_a_node_and_its_last_state_and_can_be_taken_away():
    tracker, gone = with_dead([A]), []
    tracker.set_eviction_callback(lambda node, state: gone.append((node, state.status)))
    tracker.cleanup()
    assert gone == [(A, b"DEAD")]
    tracker.set_eviction_callback(None)
    tracker.update_node(B, b"DEAD", 1, 0.0)
    assert tracker.cleanup()["dead_removed"] == 1 and len(gone) == 1


def test_a_removed_node_is_not_told_of():
    tracker, gone = with_dead([A]), []
    tracker.set_eviction_callback(lambda *row: gone.append(row))
    assert tracker.remove_node(A) and not gone
