"""Two layers of failure detection: machines below, jobs above, each layer a tracker.

    python examples/hierarchical.py

A part of a job is the node (machine, number of the job). Two rules tie the layers together, both by
reading: a machine's death settles every suspicion of a job on it; a suspicion within a job never becomes
one of the machine. Exits with 0 if the story ends as it should.
"""

import sys

from incarnation import IncarnationTracker


class Layers:
    def __init__(self, clock):
        self.clock = clock
        self.machines = IncarnationTracker(clock=clock)
        # A job that stays suspect this long has failed, whatever its machine does.
        self.jobs = IncarnationTracker(clock=clock, suspect_timeout_seconds=5.0)

    def machine_is_gone(self, machine):
        state = self.machines.get_node_state((machine, 0))
        return state is None or state.status in (b"DEAD", b"LEFT")

    def job_suspects(self, part):
        """A part of a job cannot reach another one. On a dead machine there is nothing to suspect."""
        known = self.jobs.get_node_state(part)
        if known is None or self.machine_is_gone(part[0]):
            return None
        return self.jobs.update(part, b"SUSPECT", known.incarnation)

    def settle(self):
        """The machine layer changed: what ran on machines that are gone has failed as well."""
        claims = [
            (part, b"DEAD", state.incarnation)
            for part, state in self.jobs.node_states.items()
            if self.machine_is_gone(part[0])
        ]
        return sum(self.jobs.update_many(claims))

    def advice(self, part):
        state = self.jobs.get_node_state(part)
        if state is None or self.machine_is_gone(part[0]) or state.status in (b"DEAD", b"LEFT"):
            return "replace"
        return "avoid" if state.status == b"SUSPECT" else "use"


def story(tell=print):
    now = [0.0]
    layers = Layers(lambda: now[0])
    for machine in ("m1", "m2", "m3"):
        layers.machines.update((machine, 0), b"OK", 1)
        layers.jobs.update_many([((machine, job), b"OK", 1) for job in (7, 8)])

    now[0] = 1.0
    layers.job_suspects(("m2", 7))
    tell("job 7 can't reach its part on m2:", layers.advice(("m2", 7)))
    assert layers.advice(("m2", 7)) == "avoid" and layers.advice(("m2", 8)) == "use"
    assert layers.machines.get_node_state(("m2", 0)).status == b"OK"

    assert layers.jobs.update(("m2", 7), b"OK", 2)
    tell("it answers, one incarnation higher:", layers.advice(("m2", 7)))
    assert layers.advice(("m2", 7)) == "use"

    now[0] = 3.0
    layers.job_suspects(("m3", 7))
    layers.job_suspects(("m3", 8))
    layers.machines.update(("m3", 0), b"DEAD", 1)
    settled = layers.settle()
    tell("m3 dies, and with it what it ran:", settled)
    assert settled == 2 and not layers.jobs.get_nodes_by_state(b"SUSPECT")
    assert layers.advice(("m3", 8)) == "replace" and layers.job_suspects(("m3", 8)) is None

    now[0] = 6.0
    layers.job_suspects(("m1", 8))
    now[0] = 12.0
    layers.jobs.cleanup()
    tell("job 8 hangs on m1 for too long:", layers.advice(("m1", 8)))
    assert layers.advice(("m1", 8)) == "replace" and layers.advice(("m1", 7)) == "use"
    assert layers.machines.get_stats()["ok_nodes"] == 2


if __name__ == "__main__":
    sys.exit(story())
