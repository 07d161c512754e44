"""The examples run, and end well."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["cluster.py", "federated.py", "hierarchical.py"])
def test_an_example_exits_with_0(name):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, timeout=6000
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if name == "cluster.py":
        agreed = [line for line in done.stdout.splitlines() if line.startswith("agreed")]
        assert len(agreed) == 3 and "is back" in agreed[-1]
