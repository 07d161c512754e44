"""A program as type checkers see it; never run. `test_stubs.py` has it checked."""

from incarnation import Change, IncarnationTracker, NodeState, Snapshot, Verdict, aio

NODE = ("10.0.0.1", 7946)


async def program(tracker: IncarnationTracker, other: aio.IncarnationTracker) -> None:
    accepted: bool = tracker.update_node(NODE, b"OK", 1, 1.0)
    verdict: Verdict = tracker.update(NODE, b"OK", 1)
    state: NodeState | None = tracker.node_states.get(NODE)
    accepted_each: list[bool] = tracker.update_many([(NODE, b"OK", 1)])
    verdicts: list[Verdict] = tracker.update_many([(NODE, b"OK", 1)], verdicts=True)
    snapshot: Snapshot = tracker.snapshot()
    removed: int = tracker.cleanup()["dead_removed"]
    changed: Change = await anext(tracker.changes())
    awaited: bool = await other.update_node(NODE, b"OK", 1, 1.0)
    print(accepted, verdict, state, accepted_each, verdicts, snapshot, removed, changed, awaited)
