"""The recorded operations of the original's class, by its own method names."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
import replay

from incarnation import IncarnationTracker, aio

CASES = [json.loads(line) for line in replay.RECORDING.read_text().splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_every_recorded_result_is_reproduced(case):
    for _operation in replay.replay_case(case):
        pass


class Awaited(IncarnationTracker):
    """The asynchronous flavour, each of whose coroutines is run to its end at once."""

    def __init__(self, *arguments, **options):
        self._asynchronous = aio.IncarnationTracker(*arguments, **options)

    def __getattribute__(self, name):
        if name.startswith("_"):
            return super().__getattribute__(name)
        attribute = getattr(self._asynchronous, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute
        return lambda *arguments: asyncio.run(attribute(*arguments))


@pytest.mark.parametrize("case", CASES[:3], ids=[case["case"] for case in CASES[:3]])
def test_the_asynchronous_class_reproduces_them_as_well(case):
    for _operation in replay.replay_case(case, Awaited):
        pass


def program(*arguments):
    script = Path(replay.__file__)
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=600
    )


def test_the_program_replays_the_packaged_recording_by_default():
    done = program()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "90 cases, 16800 ops, 0 mismatches"


def altered(value):
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "?"
        case None:
            return ["OK", 1, 1]
        case list():
            return value[1:] if value else [[["10.9.9.9", 1], ["OK", 1, 1]]]
        case dict():
            first = sorted(value)[0]
            return {**value, first: value[first] + 1}


FIELDS = sorted({
    (op["op"], name) for op in CASES[0]["ops"] for name in ("result", "after", "evicted") if name in op
})


@pytest.mark.parametrize(("method", "name"), FIELDS)
def test_an_altered_recording_is_a_mismatch(method, name):
    case = json.loads(json.dumps(CASES[0]))
    op = next(op for op in case["ops"] if op["op"] == method and name in op)
    op[name] = altered(op[name])
    with pytest.raises(replay.Mismatch):
        for _operation in replay.replay_case(case):
            pass


def test_the_program_shows_a_mismatch_and_exits_with_1(tmp_path):
    case = json.loads(json.dumps(CASES[0]))
    case["ops"][0]["result"] = False
    recording = tmp_path / "altered.jsonl"
    recording.write_text(json.dumps(case) + "\n")
    done = program(str(recording))
    assert done.returncode == 1
    assert f"case {case['case']}, op 0" in done.stdout
    assert "expected False" in done.stdout and "got      True" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 cases, 1 ops, 1 mismatches"
