"""Replays recorded operations of the original's Python class, and compares every result.

    python replay.py [FILE]

Without a file it replays the packaged recording. The last line says how many cases, operations and
mismatches there were. It exits with 1 at the first mismatch, after it has shown the case, the operation,
the expected and the actual result.
"""

import json
import sys
from pathlib import Path

from incarnation import IncarnationTracker, NodeState

RECORDING = Path(__file__).parent / "data" / "python_api.jsonl"

# Positions of the arguments that are times, in milliseconds in the recording.
TIMES = {
    "update_node": 3,
    "add_unconfirmed_node": 1,
    "confirm_node": 2,
    "record_node_death": 2,
}
# Positions of the arguments that are statuses.
STATUSES = {
    "update_node": 1,
    "check_message_freshness": 2,
    "is_message_fresh": 2,
    "get_nodes_by_state": 0,
}
FIRST_IS_NO_NODE = {"get_nodes_by_state", "is_valid_incarnation"}


class Mismatch(Exception):
    pass


def status_name(status):
    return "OK" if status == "JOIN" else status


def shown_state(state):
    """A state as the recording has it, with JOIN as OK."""
    if state is None:
        return None
    milliseconds = state.last_update_time * 1000
    return [status_name(state.status.decode()), state.incarnation, round(milliseconds, 6)]


def expected_state(state):
    return None if state is None else [status_name(state[0]), *state[1:]]


def rows(pairs):
    return sorted([list(node), shown_state(state)] for node, state in pairs)


def expected_rows(recorded):
    return sorted([node, expected_state(state)] for node, state in recorded)


class Replay:
    def __init__(self, config, tracker_class=IncarnationTracker):
        self.now = 0.0
        self.evicted = []
        # The statuses as recorded, in which JOIN is not OK.
        self.statuses = {}
        self.tracker = tracker_class(
            max_nodes=config["max_nodes"],
            dead_node_retention_seconds=config["dead_node_retention_ms"] / 1000,
            clock=lambda: self.now,
        )
        self.tracker.set_eviction_callback(
            lambda node, state: self.evicted.append((node, state))
        )

    def arguments(self, op):
        arguments = list(op["args"])
        name = op["op"]
        if arguments and name not in FIRST_IS_NO_NODE:
            arguments[0] = tuple(arguments[0])
        place = TIMES.get(name)
        if place is not None and place < len(arguments) and arguments[place] is not None:
            arguments[place] /= 1000
        place = STATUSES.get(name)
        if place is not None:
            arguments[place] = arguments[place].encode()
        return arguments

    def call(self, op):
        name, arguments = op["op"], self.arguments(op)
        if name == "len":
            return len(self.tracker.node_states)
        if name == "contains":
            return arguments[0] in self.tracker.node_states
        if name == "node_states":
            return rows(self.tracker.node_states.items())
        result = getattr(self.tracker, name)(*arguments)
        if name == "get_all_nodes":
            return rows(result)
        if name in ("get_nodes_by_state", "get_unconfirmed_nodes"):
            return sorted(list(node) for node in result)
        if name == "check_message_freshness":
            return result.name
        if isinstance(result, NodeState):
            return shown_state(result)
        return result

    def expected(self, op, result):
        name, recorded = op["op"], op["result"]
        if name in ("node_states", "get_all_nodes"):
            return expected_rows(recorded)
        if name == "get_node_state":
            return expected_state(recorded)
        if name in ("get_nodes_by_state", "get_unconfirmed_nodes"):
            if op["args"] and op["args"][0] in ("OK", "JOIN"):
                # JOIN is stored as OK, so a question for one of them is answered with the nodes of both.
                other = {"OK": "JOIN", "JOIN": "OK"}[op["args"][0]]
                recorded = recorded + [
                    list(node) for node, status in self.statuses.items() if status == other
                ]
            return sorted(recorded)
        if name == "get_stats":
            joined = recorded["total_nodes"] - sum(
                recorded[f"{status}_nodes"]
                for status in ("unconfirmed", "ok", "suspect", "dead")
            )
            return {**recorded, "ok_nodes": recorded["ok_nodes"] + joined}
        return recorded

    def run(self, op):
        self.now = op["now_ms"] / 1000
        self.evicted.clear()
        result = self.call(op)
        compare("result", self.expected(op, result), result)
        if "after" in op:
            state = self.tracker.get_node_state(tuple(op["args"][0]))
            compare("after", expected_state(op["after"]), shown_state(state))
            self.statuses[tuple(op["args"][0])] = op["after"] and op["after"][0]
        for node, _ in op.get("evicted", []):
            del self.statuses[tuple(node)]
        compare("evicted", expected_rows(op.get("evicted", [])), rows(self.evicted))


def compare(what, expected, got):
    if expected != got or type(expected) is not type(got):
        raise Mismatch(what, expected, got)


def replay_case(case, tracker_class=IncarnationTracker):
    """Replays one case; yields each operation after it has matched. Raises Mismatch."""
    replay = Replay(case["config"], tracker_class)
    for op in case["ops"]:
        yield op
        replay.run(op)
    yield {"op": "final"}
    compare("final", expected_rows(case["final"]), rows(replay.tracker.get_all_nodes()))


def main(path=RECORDING):
    cases = operations = 0
    with open(path, encoding="utf-8") as recording:
        for line in recording:
            case = json.loads(line)
            operation = None
            try:
                for number, operation in enumerate(replay_case(case)):
                    operations += operation["op"] != "final"
            except Mismatch as mismatch:
                what, expected, got = mismatch.args
                print(f"case {case['case']}, op {number}: {json.dumps(operation)}")
                print(f"{what}: expected {expected!r}")
                print(f"{what}: got      {got!r}")
                print(f"{cases} cases, {operations} ops, 1 mismatches")
                return 1
            cases += 1
    print(f"{cases} cases, {operations} ops, 0 mismatches")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
