"""Nothing piles up: memory stays flat however many updates there are, and however slow a reader is."""

import json

from conftest import run_python

MEASURE = """
import json, resource, sys
import incarnation

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

tracker = incarnation.IncarnationTracker()
changes = tracker.changes()
node = ("10.0.0.1", 7946)

def updates(first, last):
    update = tracker.update_node
    for number in range(first, last):
        assert update(node, b"OK", number, number * 1e-3)

updates(0, 50_000)
before = resident()
updates(50_000, 1_050_000)
grown = resident() - before
pending = changes.drain()
print(json.dumps({"grown": grown, "changes": len(pending),
                  "incarnation": tracker.get_node_incarnation(node)}))
"""

CHURN = """
import json, resource
import incarnation

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

tracker = incarnation.IncarnationTracker(max_nodes=1000)
tracker.set_eviction_callback(lambda node, state: None)

def churn(rounds):
    for round_ in range(rounds):
        for number in range(1000):
            tracker.update_node((f"h{number}", round_ % 60000), b"OK", 1, 1.0)
            tracker.record_node_death((f"h{number}", round_ % 60000), 1, 1.0)
        tracker.cleanup()

churn(30)
before = resident()
churn(100)
print(json.dumps({"grown": resident() - before}))
"""


def test_a_million_updates_to_one_node_leave_memory_flat_and_one_change_to_tell():
    measured = json.loads(run_python(MEASURE))
    assert measured["incarnation"] == 1_049_999
    assert measured["changes"] == 1
    assert measured["grown"] < 1 << 20, measured


def test_nodes_that_come_and_go_leave_memory_flat():
    measured = json.loads(run_python(CHURN))
    assert measured["grown"] < 4 << 20, measured
