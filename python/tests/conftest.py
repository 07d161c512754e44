"""What several test files use."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from incarnation import IncarnationTracker  # noqa: E402

A, B, C = ("10.0.0.1", 7946), ("10.0.0.2", 7946), ("10.0.0.3", 7946)


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now=0.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tracker(clock):
    return IncarnationTracker(clock=clock)


@pytest.fixture
def unraisable(monkeypatch):
    """The exceptions that Python reports because nobody can catch them."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: seen.append(report.exc_value))
    return seen


def run_python(code, *arguments, timeout=600):
    """Runs a program in a process of its own, which must end well; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def collect_until(condition, attempts=50):
    """Collects garbage until the condition holds."""
    for _ in range(attempts):
        if condition():
            return True
        gc.collect()
    return condition()
