"""The type stubs are those of the package: every name, every parameter."""

import subprocess
import sys
from pathlib import Path

import incarnation

HERE = Path(__file__).parent


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=600, cwd=HERE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_agree_with_the_package():
    run("mypy.stubtest", "incarnation", "--allowlist", str(HERE / "stubs_allowlist.txt"))


def test_a_program_is_checked_by_them():
    run("mypy", "--strict", "--cache-dir", "/dev/null", "usage.py")


def test_the_package_says_that_it_is_typed():
    assert (Path(incarnation.__file__).parent / "py.typed").exists()
    for name in incarnation.__all__:
        assert getattr(incarnation, name).__doc__ or name.startswith("MAX"), name
