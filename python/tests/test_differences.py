"""What differs from the original on purpose: one test for each row of the table in the README."""

import pytest
from conftest import A, B

from incarnation import MAX_INCARNATION, IncarnationTracker, NodeState


def test_a_state_is_a_copy(tracker):
    tracker.update_node(A, b"OK", 1, 1.0)
    for state in (tracker.get_node_state(A), tracker.node_states[A], tracker.get_all_nodes()[0][1]):
        state.incarnation = 99
        assert state.update(b"DEAD", 100, 2.0)
    assert tracker.get_node_state(A) == NodeState(b"OK", 1, 1.0)
    before = tracker.get_node_state(A)
    tracker.update_node(A, b"DEAD", 1, 2.0)
    assert before.status == b"OK"


def test_node_states_cannot_be_assigned_to(tracker):
    with pytest.raises(TypeError):
        tracker.node_states[A] = NodeState()
    with pytest.raises(TypeError):
        del tracker.node_states[A]
    with pytest.raises(AttributeError):
        tracker.node_states = {}


def test_an_iteration_survives_changes(tracker):
    for number in range(10):
        tracker.update_node((f"h{number}", 1), b"OK", 1, 1.0)
    seen = 0
    for node in tracker.node_states:
        seen += 1
        tracker.remove_node(node)
        tracker.update_node((f"new{seen}", 1), b"OK", 1, 1.0)
    assert seen == 10


def test_an_unknown_node_is_refused_at_the_hard_limit():
    tracker = IncarnationTracker(max_nodes=2, hard_limit=4)
    assert [tracker.update_node((f"h{n}", 1), b"OK", 1, 1.0) for n in range(5)] == [True] * 4 + [False]
    assert tracker.update_node(("h0", 1), b"OK", 2, 1.0), "known nodes never notice"
    assert tracker.update(A, b"OK", 1, 1.0).reason == "at_capacity"
    assert not tracker.add_unconfirmed_node(A) and not tracker.confirm_node(A)
    assert tracker.evict_if_needed() == 4
    assert tracker.update_node(A, b"OK", 1, 1.0)
    by_default = IncarnationTracker(max_nodes=10)
    accepted = [by_default.update_node(("h", number), b"OK", 1, 1.0) for number in range(2000)]
    assert sum(accepted) == 4 * 10 + 1024


def test_death_records_are_bounded(clock):
    tracker = IncarnationTracker(max_nodes=2, hard_limit=10, clock=clock)
    for number in range(100):
        tracker.record_node_death(("h", number), 1, float(number))
    assert tracker.get_stats()["active_death_records"] <= 10
    assert tracker.get_required_rejoin_incarnation(("h", 99)) == 6
    assert tracker.get_required_rejoin_incarnation(("h", 0)) == 0


def test_join_is_stored_as_ok(tracker):
    assert tracker.update_node(A, b"JOIN", 1, 1.0)
    assert tracker.get_node_state(A).status == b"OK"
    assert tracker.get_nodes_by_state(b"JOIN") == tracker.get_nodes_by_state(b"OK") == [A]
    assert tracker.get_stats()["ok_nodes"] == 1


def test_an_unknown_status_is_an_error(tracker):
    with pytest.raises(ValueError, match="status must be one of"):
        tracker.update_node(A, b"GONE", 1, 1.0)


def test_only_a_host_and_port_is_stored(tracker):
    for node in ("a", ("h", "1"), ("h", 1, 0, 0), (1, 2)):
        with pytest.raises(TypeError, match="node"):
            tracker.update_node(node, b"OK", 1, 1.0)
    with pytest.raises(ValueError, match="65535"):
        tracker.update_node(("h", 70000), b"OK", 1, 1.0)
    assert tracker.get_node_state("a") is None


def test_times_are_nanoseconds_and_never_go_back(tracker):
    tracker.update_node(A, b"OK", 1, 5.00000000049)
    assert tracker.get_node_state(A).last_update_time == 5.0
    tracker.update_node(A, b"OK", 2, 3.0)
    assert tracker.get_node_state(A).last_update_time == 5.0
    with pytest.raises(ValueError, match="timestamp"):
        tracker.update_node(A, b"OK", 3, -1.0)


def test_the_own_incarnation_never_falls():
    tracker = IncarnationTracker(self_incarnation=7)
    tracker.self_incarnation = 9
    tracker.self_incarnation = 9
    with pytest.raises(ValueError, match="never falls"):
        tracker.self_incarnation = 8
    with pytest.raises(OverflowError, match="MAX_INCARNATION"):
        tracker.self_incarnation = MAX_INCARNATION + 1
    assert tracker.self_incarnation == 9


def test_an_exception_in_the_eviction_callback_is_reported(clock, unraisable):
    tracker, told = IncarnationTracker(dead_node_retention_seconds=0.0, clock=clock), []

    def callback(node, _state):
        told.append(node)
        raise ValueError("broken")

    tracker.set_eviction_callback(callback)
    for node in (A, B):
        tracker.update_node(node, b"DEAD", 1, 0.0)
    clock.now = 1.0
    assert tracker.cleanup_dead_nodes() == 2
    assert sorted(told) == [A, B] and [str(error) for error in unraisable] == ["broken"] * 2


def test_a_tracker_holds_at_least_one_node():
    with pytest.raises(ValueError, match="max_nodes"):
        IncarnationTracker(max_nodes=0)


def test_the_logger_is_not_called(tracker):
    class Logger:
        def __getattr__(self, name):
            raise AssertionError(name)

    tracker.set_logger(Logger(), "host", 1, "id")
    tracker.update_node(A, b"DEAD", 1, 0.0)
    tracker.cleanup()


def test_the_table_in_the_readme_names_exactly_these_tests():
    import re
    from pathlib import Path

    readme = (Path(__file__).parent.parent / "README.md").read_text()
    table = readme.split("## Deliberate differences")[1].split("## ")[0]
    named = re.findall(r"`(test_\w+)` \|", table)
    here = [name for name in globals() if name.startswith("test_") and "readme" not in name]
    assert named == here
