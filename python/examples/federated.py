"""Federated health: one tracker for each remote datacentre, and a routing decision by all of them.

    python examples/federated.py

A few managers in each datacentre report on it, late, twice and out of order. This process is no member
there: it keeps what it is told. Exits with 0 if the story ends as it should.
"""

import math
import sys

from incarnation import IncarnationTracker

HEALTH = ["lost", "poor", "fair", "good"]


class Federation:
    def __init__(self, remotes, clock):
        self.remotes = {
            datacentre: IncarnationTracker(
                max_nodes=16,
                # Links between datacentres are slow: give a silent manager some time.
                suspect_timeout_seconds=30.0,
                # A dead manager stays one that there should be: health gets no better by forgetting.
                dead_node_retention_seconds=math.inf,
                clock=clock,
            )
            for datacentre in remotes
        }

    def report(self, datacentre, manager, status, incarnation):
        """A manager's report. Incarnations may be times, so they may jump: the claim is trusted."""
        tracker = self.remotes.get(datacentre)
        if tracker is None:
            return None
        return tracker.update((manager, 0), status, incarnation, trusted=True)

    def health(self, datacentre):
        stats = self.remotes[datacentre].get_stats()
        # One that left is no longer a manager; one never reached is none yet.
        heard = stats["ok_nodes"]
        known = heard + stats["suspect_nodes"] + stats["dead_nodes"]
        if heard == 0:
            return "lost"
        if heard == known:
            return "good"
        return "fair" if heard * 2 > known else "poor"

    def route(self, preferred):
        """The first of those preferred that is at its best; None if all are lost."""
        best = max(preferred, key=lambda one: HEALTH.index(self.health(one)), default=None)
        return None if best is None or self.health(best) == "lost" else best


def story(tell=print):
    now = [0.0]
    federation = Federation(["east", "west"], lambda: now[0])

    def shown(what):
        health = {one: federation.health(one) for one in federation.remotes}
        tell(what, health, "requests go to", federation.route(["east", "west"]))

    assert federation.route(["east", "west"]) is None
    for datacentre in ("east", "west"):
        for number in range(3):
            federation.report(datacentre, f"{datacentre}{number}", b"OK", 100)
    shown("all managers report")
    assert federation.route(["east", "west"]) == "east"

    federation.report("east", "east1", b"SUSPECT", 100)
    shown("one can't be heard")
    assert federation.health("east") == "fair"
    assert federation.route(["east", "west"]) == "west"

    federation.report("east", "east1", b"OK", 101)
    late = federation.report("east", "east1", b"SUSPECT", 100)
    shown("it answers; an old report arrives after its answer")
    assert late.kind == "stale" and late.current == (b"OK", 101)
    assert federation.route(["east", "west"]) == "east"

    now[0] = 20.0
    for number in range(3):
        federation.report("east", f"east{number}", b"SUSPECT", 101)
    now[0] = 60.0
    for tracker in federation.remotes.values():
        tracker.cleanup()
    shown("the link to the east is cut")
    assert federation.health("east") == "lost" and federation.health("west") == "good"
    assert federation.route(["east", "west"]) == "west"

    federation.report("east", "east0", b"OK", 102)
    shown("one manager is heard again")
    assert federation.health("east") == "poor" and federation.route(["east"]) == "east"
    assert federation.report("south", "south0", b"OK", 1) is None


if __name__ == "__main__":
    sys.exit(story())
