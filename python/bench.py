"""How fast the package is beside the same rule in plain Python, in one process.

    python bench.py [--quick]

Each pair of operations is timed in alternating rounds of about a millisecond, by the processor time of
the thread. The ratio is the median of the rounds' ratios. So neither other programs nor a processor that
changes its speed favours one side.
"""

import statistics
import sys
import time
from itertools import count, cycle
from pathlib import Path

# In place of this file's own folder, which holds the package's source without its extension module.
sys.path[0] = str(Path(__file__).parent / "tests")

from reference import ReferenceTracker  # noqa: E402

from incarnation import IncarnationTracker  # noqa: E402

NODES = 10_000
PACKET = 32
ROUNDS = 11 if "--quick" in sys.argv else 101


def nodes():
    return [(f"10.{number >> 8 & 255}.{number & 255}.7", 7946) for number in range(NODES)]


def filled(make):
    tracker = make()
    for node in nodes():
        tracker.update_node(node, b"OK", 5, 1.0)
    return tracker


def seconds(work, times):
    start = time.thread_time_ns()
    work(times)
    return (time.thread_time_ns() - start) / 1e9


def compare(name, ours, reference, times, limit, per=1):
    """Prints one row; returns whether the ratio is within the limit."""
    ours(max(times // 10, 1)), reference(max(times // 10, 1))
    rows = [(seconds(ours, times), seconds(reference, times)) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in rows)
    mine = statistics.median(mine for mine, _ in rows) / times / per * 1e9
    theirs = statistics.median(theirs for _, theirs in rows) / times / per * 1e9
    verdict = "" if ratio <= limit else "  TOO SLOW"
    print(f"| {name} | {mine:,.0f} | {theirs:,.0f} | {ratio:.3f} | {limit} |{verdict}", flush=True)
    return ratio <= limit


def repeat(call, *arguments):
    def work(times):
        for _ in range(times):
            call(*arguments)

    return work


def over(call, rows):
    """Calls with one row after the other, of a list prepared beforehand."""

    def work(times):
        for _, row in zip(range(times), cycle(rows), strict=False):
            call(*row)

    return work


def accepted(tracker, node):
    numbers = count(6)

    def work(times):
        update = tracker.update_node
        for _, number in zip(range(times), numbers, strict=False):
            update(node, b"OK", number, 2.0)

    return work


def duplicates(tracker, node):
    def work(times):
        update = tracker.update_node
        for _ in range(times):
            update(node, b"OK", 5, 2.0)

    return work


def lookups(tracker, node):
    def work(times):
        get = tracker.get_node_state
        for _ in range(times):
            get(node)

    return work


def packets_together(tracker, packet):
    def work(times):
        update_many = tracker.update_many
        for _ in range(times):
            update_many(packet, 2.0)

    return work


def packets_one_by_one(tracker, packet):
    def work(times):
        update = tracker.update_node
        for _ in range(times):
            for node, status, incarnation in packet:
                update(node, status, incarnation, 2.0)

    return work


def keys(tracker):
    def work(times):
        states = tracker.node_states
        for _ in range(times):
            list(states.keys())

    return work


def main():
    ours, reference = filled(IncarnationTracker), filled(ReferenceTracker)
    names = nodes()
    with_dead = filled(IncarnationTracker), filled(ReferenceTracker)
    for tracker in with_dead:
        for number, node in enumerate(names):
            if number % 100 == 0:
                tracker.update_node(node, b"DEAD", 5, time.monotonic())
    # Not the objects that are stored: a message brings a tuple of its own.
    other, moved = names[77], names[78]
    packet = [(node, b"OK", 5) for node in names[1000 : 1000 + PACKET]]
    times = 3_000
    print("| operation, 10,000 nodes | ns | plain Python, ns | ratio | at most |")
    print("|---|---:|---:|---:|---:|")
    good = [
        compare("`update_node`, a duplicate", duplicates(ours, other), duplicates(reference, other),
                times, 0.4),
        compare("`update_node`, accepted", accepted(ours, moved), accepted(reference, moved),
                times, 0.4),
        compare("`update_many` of 32, a claim", packets_together(ours, packet),
                packets_one_by_one(reference, packet), max(times // PACKET, 1), 0.15, PACKET),
        compare("`get_node_state`", lookups(ours, other), lookups(reference, other), times, 1.5),
        compare("`list(node_states.keys())`", keys(ours), keys(reference), 5, 3.0),
        compare("`get_stats`", repeat(ours.get_stats), repeat(reference.get_stats),
                2, 0.05),
        compare("`cleanup`, nothing is dead", repeat(ours.cleanup), repeat(reference.cleanup),
                2, 0.05),
        compare("`cleanup`, 100 dead are kept", *(repeat(tracker.cleanup) for tracker in with_dead),
                2, 0.05),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
