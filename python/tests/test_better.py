"""What goes beyond the original: verdicts, packets, hearsay, this node itself."""

import pytest
from conftest import A, B, C

from incarnation import MAX_INCARNATION, IncarnationTracker, Verdict


def test_a_verdict_says_what_became_of_a_claim(tracker):
    joined = tracker.update(A, b"OK", 3, 1.0)
    assert isinstance(joined, Verdict)
    assert joined and joined.accepted and joined.kind == "joined" and joined.reason is None
    applied = tracker.update(A, b"SUSPECT", 3, 2.0)
    assert applied and applied.kind == "applied" and applied.previous == (b"OK", 3)
    duplicate = tracker.update(A, b"OK", 3, 3.0)
    assert not duplicate and duplicate.kind == "duplicate"
    assert duplicate.current == (b"SUSPECT", 3)
    stale = tracker.update(A, b"DEAD", 2, 3.0)
    assert not stale and stale.kind == "stale" and stale.current == (b"SUSPECT", 3)
    assert stale == tracker.judge(A, b"DEAD", 2) and hash(stale) == hash(tracker.judge(A, b"DEAD", 2))
    assert stale != duplicate and stale != 5


def test_a_verdict_says_why_a_claim_was_rejected(tracker):
    tracker.update(A, b"OK", 3, 1.0)
    far = tracker.update(A, b"OK", 1004, 1.0)
    assert far.kind == "rejected" and far.reason == "suspicious_jump" and far.current == (b"OK", 3)
    assert tracker.update(A, b"OK", 1004, 1.0, trusted=True)
    beyond = tracker.update(B, b"OK", MAX_INCARNATION + 1, 1.0)
    assert beyond.reason == "out_of_range" and str(MAX_INCARNATION) in str(beyond)
    assert tracker.update(B, b"OK", 2**80, 1.0).reason == "out_of_range"
    with pytest.raises(ValueError, match="negative"):
        tracker.update(B, b"OK", -1, 1.0)
    tracker.add_unconfirmed_node(C)
    assert tracker.update(C, b"SUSPECT", 0, 1.0).reason == "unconfirmed"
    assert "unconfirmed" in repr(tracker.update(C, b"SUSPECT", 0, 1.0)).lower()


def test_a_packet_is_answered_claim_by_claim_in_order(tracker):
    claims = [(A, b"OK", 1), (A, b"SUSPECT", 1), (A, b"OK", 1), (B, b"JOIN", 5), (B, b"OK", -1)]
    for packet in (claims, tuple(claims), iter(claims)):
        tracker = IncarnationTracker()
        assert tracker.update_many(packet, 1.0) == [True, True, False, True, False]
        assert tracker.get_node_state(A).status == b"SUSPECT"
    tracker = IncarnationTracker()
    verdicts = tracker.update_many(claims[:4], 1.0, verdicts=True)
    assert [verdict.kind for verdict in verdicts] == ["joined", "applied", "duplicate", "joined"]
    assert tracker.update_many([], 1.0) == []
    assert tracker.update_many([(C, b"OK", 2**40)], 1.0, validate=False) == [True]


def test_hearsay_introduces_a_node_and_says_no_more_until_contact(tracker):
    assert tracker.hear(A, b"OK", 7, 1.0).kind == "joined"
    assert tracker.get_node_state(A).status == b"UNCONFIRMED"
    assert tracker.hear(A, b"OK", 7, 1.0).reason == "unconfirmed"
    assert tracker.hear(B, b"DEAD", 7, 1.0).reason == "unknown_node"
    tracker.confirm_node(A, 7)
    assert tracker.hear(A, b"SUSPECT", 7, 1.0)


def test_claims_about_this_node_are_answered_and_never_stored():
    tracker = IncarnationTracker(self_node=A)
    assert tracker.self_node == A
    verdict = tracker.update(A, b"SUSPECT", 4, 1.0)
    assert not verdict and verdict.kind == "about_self" and verdict.accused == (b"SUSPECT", 4)
    assert tracker.answer(verdict.accused) == 5 == tracker.self_incarnation
    assert tracker.answer((b"OK", 5)) is None
    assert tracker.answer((b"SUSPECT", 4)) is None
    assert A not in tracker.node_states
    with pytest.raises(OverflowError):
        tracker.answer((b"SUSPECT", MAX_INCARNATION))
    assert tracker.self_incarnation == 5


def test_suspicions_and_mentions_expire_if_told_to(clock):
    tracker = IncarnationTracker(
        clock=clock, suspect_timeout_seconds=5.0, unconfirmed_timeout_seconds=5.0
    )
    tracker.update_node(A, b"SUSPECT", 1, 0.0)
    tracker.add_unconfirmed_node(B, 0.0)
    clock.now = 6.0
    assert tracker.cleanup()["dead_removed"] == 1
    assert tracker.get_node_state(A).status == b"DEAD"
    assert B not in tracker.node_states
