"""Arguments that are wrong: the original's answer where it has one, else an error that names the argument."""

import pytest
from conftest import A

from incarnation import MAX_INCARNATION, IncarnationTracker, MessageFreshness, NodeState

NO_NODES = [
    (None, TypeError, r"node must be a tuple \(host, port\)"),
    ("10.0.0.1:7946", TypeError, r"node must be a tuple \(host, port\)"),
    ((), TypeError, "a tuple of 0"),
    (("h",), TypeError, "a tuple of 1"),
    (("h", 1, 0, 0), TypeError, r"a tuple of 4.*address\[:2\]"),
    ((b"h", 1), TypeError, "the host of node must be a str"),
    (("h", "1"), TypeError, "the port of node must be an int"),
    (("h", 1.0), TypeError, "the port of node must be an int"),
    (("h", -1), ValueError, r"within 0\.\.65535"),
    (("h", 65536), ValueError, r"within 0\.\.65535"),
    (("h", 2**80), ValueError, r"within 0\.\.65535"),
    (("\ud800", 1), ValueError, "valid Unicode"),
]


@pytest.mark.parametrize(("node", "error", "message"), NO_NODES)
def test_a_call_that_stores_refuses_what_is_no_node(tracker, node, error, message):
    for call in (
        lambda: tracker.update_node(node, b"OK", 1, 1.0),
        lambda: tracker.update(node, b"OK", 1, 1.0),
        lambda: tracker.add_unconfirmed_node(node),
        lambda: tracker.confirm_node(node),
        lambda: tracker.record_node_death(node, 1),
        lambda: tracker.update_many([(A, b"OK", 1), (node, b"OK", 1)], 1.0),
    ):
        with pytest.raises(error, match=message):
            call()
    assert len(tracker.node_states) == 0


@pytest.mark.parametrize("node", [node for node, *_ in NO_NODES])
def test_a_call_that_looks_finds_no_such_node_as_in_a_dict(tracker, node):
    assert tracker.get_node_state(node) is None
    assert tracker.get_node_incarnation(node) == 0
    assert node not in tracker.node_states
    assert tracker.node_states.get(node, 5) == 5
    assert not tracker.is_node_confirmed(node)
    assert not tracker.is_node_unconfirmed(node)
    assert not tracker.can_suspect_node(node)
    assert not tracker.remove_node(node)
    assert not tracker.is_potential_zombie(node, 1)
    assert tracker.get_required_rejoin_incarnation(node) == 0
    assert tracker.check_message_freshness(node, 1, b"OK") is MessageFreshness.FRESH
    with pytest.raises(KeyError):
        tracker.node_states[node]


@pytest.mark.parametrize("node", [["h", 1], {}, (["h"], 1)])
def test_an_unhashable_node_is_a_type_error_everywhere(tracker, node):
    for call in (tracker.get_node_state, tracker.remove_node, tracker.node_states.get):
        with pytest.raises(TypeError):
            call(node)


@pytest.mark.parametrize("status", [b"", b"ok", b"ALIVE", b"DEAD ", b"\xff"])
def test_an_unknown_status_is_a_value_error(tracker, status):
    for call in (
        lambda: tracker.update_node(A, status, 1, 1.0),
        lambda: tracker.check_message_freshness(A, 1, status),
        lambda: tracker.get_nodes_by_state(status),
        lambda: NodeState(status),
        lambda: tracker.update_many([(A, status, 1)], 1.0),
    ):
        with pytest.raises(ValueError, match="status must be one of"):
            call()


@pytest.mark.parametrize("status", ["OK", None, 1])
def test_a_status_that_is_not_bytes_is_a_type_error(tracker, status):
    with pytest.raises(TypeError, match="status must be bytes"):
        tracker.update_node(A, status, 1, 1.0)


@pytest.mark.parametrize("number", [-1, MAX_INCARNATION + 1, 2**63, 2**64, -(2**64), 10**30])
def test_an_incarnation_out_of_range_is_invalid(tracker, number):
    assert not tracker.is_valid_incarnation(number)
    assert not tracker.update_node(A, b"OK", number, 1.0)
    assert not tracker.is_message_fresh(A, number, b"OK")
    assert tracker.check_message_freshness(A, number, b"OK") is MessageFreshness.INVALID
    assert tracker.update_many([(A, b"OK", number)], 1.0) == [False]
    assert A not in tracker.node_states


def test_without_validation_an_incarnation_that_cannot_be_stored_is_a_value_error(tracker):
    for number in (-1, -(2**70), 2**61, 2**70):
        with pytest.raises(ValueError, match="incarnation"):
            tracker.update_node(A, b"OK", number, 1.0, validate=False)
    assert tracker.update_node(A, b"OK", 2**61 - 1, 1.0, validate=False)
    assert tracker.get_node_incarnation(A) == 2**61 - 1


@pytest.mark.parametrize("number", ["1", 1.0, None, b"1"])
def test_an_incarnation_that_is_no_int_is_a_type_error(tracker, number):
    for call in (
        lambda: tracker.update_node(A, b"OK", number, 1.0),
        lambda: tracker.is_valid_incarnation(number),
        lambda: tracker.is_potential_zombie(A, number),
    ):
        with pytest.raises(TypeError, match="incarnation must be an int"):
            call()


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf"), 1e11, 10**400])
def test_a_time_that_no_clock_tells_is_a_value_error(tracker, seconds):
    with pytest.raises(ValueError, match="timestamp must be"):
        tracker.update_node(A, b"OK", 1, seconds)


@pytest.mark.parametrize("seconds", ["1", None, b"1"])
def test_a_time_that_is_no_number_is_a_type_error(tracker, seconds):
    with pytest.raises(TypeError, match="timestamp must be a number of seconds"):
        tracker.update_node(A, b"OK", 1, seconds)


def test_a_malformed_claim_is_named_by_its_number_and_none_is_applied(tracker):
    for claims, error, message in (
        ([(A, b"OK", 1), None], TypeError, r"claims\[1\] must be a tuple"),
        ([(A, b"OK")], TypeError, r"claims\[0\] must be a tuple"),
        ([(A, b"OK", 1), (A, b"?", 1)], ValueError, r"claims\[1\]: status must be one of"),
        ([(A, b"OK", 1), (A, b"OK", "1")], TypeError, r"claims\[1\]: incarnation must be an int"),
        (5, TypeError, "not iterable"),
    ):
        with pytest.raises(error, match=message):
            tracker.update_many(claims, 1.0)
    assert len(tracker.node_states) == 0


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"max_nodes": 0}, ValueError, "max_nodes"),
    ({"max_nodes": -1}, ValueError, "max_nodes must not be negative, got -1"),
    ({"max_nodes": 1.5}, TypeError, "max_nodes must be an int, got float"),
    ({"max_nodes": 2**70}, ValueError, "max_nodes must be within"),
    ({"hard_limit": -1}, ValueError, "hard_limit must not be negative"),
    ({"eviction_headroom": "1"}, TypeError, "eviction_headroom must be an int"),
    ({"max_death_records": 2**70}, ValueError, "max_death_records must be within"),
    ({"minimum_rejoin_incarnation_bump": -1}, ValueError, "minimum_rejoin_incarnation_bump"),
    ({"clock": 3}, TypeError, "clock must be callable, got int"),
    ({"node_data": 3}, TypeError, "node_data must be callable, got int"),
    ({"node_states": 3}, TypeError, "node_states must be a mapping"),
    ({"max_nodes": 10, "hard_limit": 5}, ValueError, "hard_limit 5 is below max_nodes 10"),
    ({"max_nodes": 2**60}, ValueError, "hard_limit"),
    ({"self_incarnation": -1}, ValueError, "self_incarnation must not be negative"),
    ({"self_incarnation": 2**31}, OverflowError, "MAX_INCARNATION"),
    ({"self_incarnation": "1"}, TypeError, "self_incarnation must be an int"),
    ({"dead_node_retention_seconds": -1.0}, ValueError, "dead_node_retention_seconds"),
    ({"node_states": {A: 5}}, TypeError, "values of node_states must be NodeState"),
    ({"node_states": {"a": NodeState()}}, TypeError, "node must be a tuple"),
    ({"self_node": "me"}, TypeError, "node must be a tuple"),
])
def test_the_constructor_names_the_argument_that_is_wrong(options, error, message):
    with pytest.raises(error, match=message):
        IncarnationTracker(**options)


def test_an_exception_of_the_clock_propagates():
    def broken():
        raise RuntimeError("no time")

    tracker = IncarnationTracker(clock=broken)
    for call in (tracker.cleanup, lambda: tracker.add_unconfirmed_node(A)):
        with pytest.raises(RuntimeError, match="no time"):
            call()
    assert tracker.update_node(A, b"OK", 1, 1.0)


def test_what_a_numbers_own_code_raises_is_not_lost(tracker):
    class Interrupts:
        def __float__(self):
            raise KeyboardInterrupt

        __index__ = __float__

    with pytest.raises(KeyboardInterrupt):
        tracker.update_node(A, b"OK", 1, Interrupts())
    with pytest.raises(KeyboardInterrupt):
        IncarnationTracker(max_nodes=Interrupts())
