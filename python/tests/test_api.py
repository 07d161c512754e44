"""Names, parameters, defaults and exceptions of the original."""

import copy
import inspect
import pickle
import time
import weakref

import pytest
from conftest import A, B, C

import incarnation
from incarnation import IncarnationTracker, MessageFreshness, NodeState, aio

SIGNATURES = {
    "update_node": "(node, status, incarnation, timestamp, validate=True)",
    "check_message_freshness": "(node, incarnation, status, validate=True)",
    "is_message_fresh": "(node, incarnation, status, validate=True)",
    "get_node_state": "(node)",
    "get_node_incarnation": "(node)",
    "add_unconfirmed_node": "(node, timestamp=None)",
    "remove_node": "(node)",
    "is_node_confirmed": "(node)",
    "is_node_unconfirmed": "(node)",
    "can_suspect_node": "(node)",
    "get_all_nodes": "()",
    "get_nodes_by_state": "(status)",
    "get_unconfirmed_nodes": "()",
    "is_valid_incarnation": "(incarnation)",
    "is_suspicious_jump": "(node, new_incarnation)",
    "get_self_incarnation": "()",
    "increment_self_incarnation": "()",
    "set_eviction_callback": "(callback)",
    "cleanup_dead_nodes": "()",
    "evict_if_needed": "()",
    "cleanup": "()",
    "get_stats": "()",
    "record_node_death": "(node, incarnation_at_death, timestamp=None)",
    "clear_death_record": "(node)",
    "is_potential_zombie": "(node, claimed_incarnation)",
    "get_required_rejoin_incarnation": "(node)",
    "cleanup_death_records": "()",
    "set_logger": "(logger, node_host, node_port, node_id)",
}


@pytest.mark.parametrize(("method", "expected"), SIGNATURES.items())
def test_a_method_has_the_originals_parameters_and_defaults(method, expected):
    signature = inspect.signature(getattr(IncarnationTracker(), method))
    assert str(signature) == expected


def test_confirm_node_has_the_originals_defaults(tracker):
    assert tracker.confirm_node(A)
    assert tracker.get_node_incarnation(A) == 0
    assert tracker.confirm_node(node=B, incarnation=4, timestamp=2.0)
    assert tracker.get_node_state(B) == NodeState(b"OK", 4, 2.0)


def test_the_constructor_takes_the_originals_arguments_in_order():
    states = {A: NodeState(b"SUSPECT", 7, 2.5)}
    tracker = IncarnationTracker(3, states, 50, 10.0, 20.0, 6)
    assert tracker.self_incarnation == 3
    assert tracker.node_states == states
    assert tracker.max_nodes == 50
    by_name = IncarnationTracker(
        self_incarnation=3,
        node_states=states,
        max_nodes=50,
        dead_node_retention_seconds=10.0,
        zombie_detection_window_seconds=20.0,
        minimum_rejoin_incarnation_bump=6,
    )
    assert by_name.node_states == tracker.node_states
    tracker.record_node_death(A, 4)
    assert tracker.get_required_rejoin_incarnation(A) == 10


def test_constants_and_freshness_are_the_originals():
    assert incarnation.MAX_INCARNATION == 2**31 - 1
    assert incarnation.MAX_INCARNATION_JUMP == 1000
    assert {member.name: member.value for member in MessageFreshness} == {
        "FRESH": "fresh",
        "DUPLICATE": "duplicate",
        "STALE": "stale",
        "INVALID": "invalid",
        "SUSPICIOUS": "suspicious",
    }


def test_a_node_state_has_the_originals_defaults_and_rule():
    state = NodeState()
    assert (state.status, state.incarnation, state.last_update_time) == (b"OK", 0, 0.0)
    assert state.last_seen == 0.0
    assert state.update(b"SUSPECT", 0, 1.0)
    assert not state.update(b"OK", 0, 2.0)
    assert state.update(b"OK", 1, 3.0)
    assert state == NodeState(b"OK", 1, 3.0)
    assert repr(state) == "NodeState(status=b'OK', incarnation=1, last_update_time=3.0)"
    unconfirmed = NodeState(b"UNCONFIRMED", 1, 0.0)
    assert not unconfirmed.update(b"SUSPECT", 1, 1.0)
    assert unconfirmed.update(b"DEAD", 1, 1.0)


def test_a_node_state_is_copied_and_pickled():
    state = NodeState(b"DEAD", 9, 1.5)
    for again in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert again == state and again is not state
    with pytest.raises(TypeError, match="unhashable"):
        hash(state)


def test_every_status_is_answered_as_bytes(tracker):
    for number, status in enumerate([b"UNCONFIRMED", b"OK", b"SUSPECT", b"DEAD", b"LEFT"]):
        node = ("h", number)
        assert tracker.update_node(node, status, 1, 1.0)
        assert tracker.get_node_state(node).status == status
        assert tracker.get_nodes_by_state(status) == [node]


def test_times_default_to_the_monotonic_clock(monkeypatch):
    tracker = IncarnationTracker()
    before = time.monotonic()
    tracker.add_unconfirmed_node(A)
    assert before <= tracker.get_node_state(A).last_seen <= time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: 77.25)
    tracker.confirm_node(B)
    assert tracker.get_node_state(B).last_update_time == 77.25


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.1, 4415.557, 123456.789012345, 1.7e9 + 0.25, 3])
def test_a_time_comes_back_as_it_was_given(tracker, seconds):
    tracker.update_node(A, b"OK", 1, seconds)
    assert tracker.get_node_state(A).last_update_time == seconds


def test_the_own_incarnation_rises_by_one_and_can_be_assigned():
    tracker = IncarnationTracker(self_incarnation=5)
    assert tracker.get_self_incarnation() == 5
    assert tracker.increment_self_incarnation() == 6
    tracker.self_incarnation = 1_000_000
    assert tracker.self_incarnation == tracker.get_self_incarnation() == 1_000_000
    tracker.self_incarnation = incarnation.MAX_INCARNATION
    with pytest.raises(OverflowError, match="MAX_INCARNATION"):
        tracker.increment_self_incarnation()
    assert tracker.self_incarnation == incarnation.MAX_INCARNATION


def test_a_dead_node_is_kept_for_its_retention_inclusive(clock):
    tracker = IncarnationTracker(dead_node_retention_seconds=10.0, clock=clock)
    tracker.update_node(A, b"DEAD", 1, 0.0)
    clock.now = 10.0
    assert tracker.cleanup_dead_nodes() == 0
    clock.now = 10.001
    assert tracker.cleanup() == {"dead_removed": 1, "evicted": 0, "total_nodes": 0}


def test_eviction_takes_the_excess_and_the_headroom_in_the_originals_order(clock):
    gone = []
    tracker = IncarnationTracker(max_nodes=4, eviction_headroom=1, clock=clock)
    tracker.set_eviction_callback(lambda node, state: gone.append((node[0], state.status)))
    for time_, (name, status) in enumerate(
        [("alive", b"OK"), ("suspect", b"SUSPECT"), ("dead", b"DEAD"), ("new", b"UNCONFIRMED"),
         ("younger", b"OK"), ("youngest", b"OK")]
    ):
        tracker.update_node((name, 1), status, 1, float(time_))
    assert tracker.evict_if_needed() == 3
    assert gone == [("new", b"UNCONFIRMED"), ("dead", b"DEAD"), ("suspect", b"SUSPECT")]
    assert tracker.get_stats()["total_evictions"] == 3


def test_death_records_name_zombies_and_refuse_no_update(tracker, clock):
    tracker.record_node_death(A, 4, 0.0)
    assert tracker.get_required_rejoin_incarnation(A) == 9
    assert tracker.is_potential_zombie(A, 8)
    assert not tracker.is_potential_zombie(A, 9)
    assert tracker.update_node(A, b"OK", 1, 0.0)
    assert tracker.get_stats()["zombie_rejections"] == 1
    clock.now = 60.0
    assert tracker.is_potential_zombie(A, 8)
    clock.now = 60.5
    assert tracker.get_stats()["active_death_records"] == 1
    assert not tracker.is_potential_zombie(A, 8)
    assert tracker.get_stats()["active_death_records"] == 0
    tracker.record_node_death(B, 0, 60.5)
    assert tracker.get_required_rejoin_incarnation(B) == 0
    tracker.clear_death_record(B)
    tracker.record_node_death(C, 1, 0.0)
    assert tracker.cleanup_death_records() == 1


def test_death_records_are_bounded_and_the_oldest_go_first(clock):
    tracker = IncarnationTracker(clock=clock, max_death_records=100)
    for number in range(1000):
        tracker.record_node_death(("h", number), 7, float(number))
        assert tracker.get_stats()["active_death_records"] <= 100
    assert tracker.get_required_rejoin_incarnation(("h", 999)) == 12
    assert tracker.get_required_rejoin_incarnation(("h", 0)) == 0


def test_a_tracker_can_be_subclassed_and_referenced_weakly():
    class Mine(IncarnationTracker):
        def __init__(self, *arguments, name, **options):
            self.name = name

        def __new__(cls, *arguments, name, **options):
            return super().__new__(cls, *arguments, **options)

    tracker = Mine(name="mine", max_nodes=3)
    assert tracker.name == "mine" and tracker.max_nodes == 3
    reference = weakref.ref(tracker)
    del tracker
    assert reference() is None


def test_the_logger_is_kept(tracker):
    tracker.set_logger("logger", "host", 1, "id")
    assert (tracker._logger, tracker._node_host, tracker._node_port) == ("logger", "host", 1)


def test_the_asynchronous_class_has_the_originals_coroutines():
    names = {
        name for name in vars(aio.IncarnationTracker)
        if inspect.iscoroutinefunction(getattr(aio.IncarnationTracker, name))
    }
    assert names == {
        "update_node", "remove_node", "add_unconfirmed_node", "confirm_node",
        "increment_self_incarnation", "cleanup_dead_nodes", "evict_if_needed",
        "cleanup_death_records", "cleanup",
    }


def test_a_cleanup_leaves_times_as_they_were_told_even_far_ahead_of_its_clock(clock):
    tracker = IncarnationTracker(clock=clock, dead_node_retention_seconds=1.0)
    tracker.update_node(A, b"DEAD", 1, 1.7e9)
    tracker.update_node(B, b"OK", 1, 1.7e9)
    clock.now = 100.0
    assert tracker.cleanup() == {"dead_removed": 0, "evicted": 0, "total_nodes": 2}
    assert tracker.get_node_state(A).last_update_time == 1.7e9
    assert tracker.get_node_state(B).last_update_time == 1.7e9
