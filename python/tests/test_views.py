"""`node_states`: a live mapping, and lists that hold the caller's own tuples."""

from collections.abc import Mapping

import pytest
from conftest import A, B, C

from incarnation import NodeState


@pytest.fixture
def filled(tracker):
    tracker.update_node(A, b"OK", 1, 1.0)
    tracker.update_node(B, b"DEAD", 2, 2.0)
    return tracker


def test_it_reads_as_a_dict_does(filled):
    states = filled.node_states
    expected = {A: NodeState(b"OK", 1, 1.0), B: NodeState(b"DEAD", 2, 2.0)}
    assert isinstance(states, Mapping)
    assert len(states) == 2 and bool(states)
    assert A in states and C not in states
    assert states[A] == expected[A] and states.get(C) is None and states.get(C, 7) == 7
    assert set(states) == set(states.keys()) == {A, B}
    assert dict(states.items()) == dict(states) == states.copy() == expected
    assert states == expected
    assert sorted(state.incarnation for state in states.values()) == [1, 2]
    assert states.keys() & {A, C} == {A}
    assert (A, expected[A]) in states.items()
    with pytest.raises(KeyError):
        states[C]


def test_it_shows_what_the_tracker_holds_now(filled):
    states, keys = filled.node_states, filled.node_states.keys()
    filled.update_node(C, b"OK", 1, 3.0)
    assert len(states) == len(keys) == 3 and C in states and C in keys
    filled.remove_node(C)
    assert C not in states and C not in keys


def test_nodes_may_come_and_go_while_it_is_iterated(filled):
    seen = []
    for node in filled.node_states:
        seen.append(node)
        filled.update_node((f"h{len(seen)}", 1), b"OK", 1, 3.0)
        filled.remove_node(B)
    assert sorted(seen) == [A, B]
    for node, _state in filled.node_states.items():
        filled.remove_node(node)
    assert len(filled.node_states) == 0


def test_the_nodes_are_the_very_tuples_that_made_them_known(tracker):
    first, again = ("10.1.1.1", int("7946")), ("10.1.1." + "1", 7946)
    assert first is not again
    tracker.update_node(first, b"OK", 1, 1.0)
    tracker.update_node(again, b"OK", 2, 1.0)
    assert list(tracker.node_states.keys())[0] is first
    assert tracker.get_all_nodes()[0][0] is first
    assert tracker.get_nodes_by_state(b"OK")[0] is first


def test_hosts_of_any_text_and_all_ports_are_nodes(tracker):
    nodes = [("", 0), ("h", 65535), ("::1", 1), ("ä", 1), ("日本", 1), ("a\0b", 1), ("x" * 5000, 1)]
    for number, node in enumerate(nodes):
        assert tracker.update_node(node, b"OK", number, 1.0)
    assert {node: state.incarnation for node, state in tracker.node_states.items()} == {
        node: number for number, node in enumerate(nodes)
    }


def test_an_empty_tracker_is_true(tracker):
    assert tracker and not tracker.node_states
