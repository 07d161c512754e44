"""Several threads at one tracker, with the GIL and without."""

import os
import re
import sys
import threading
from pathlib import Path

from conftest import A, run_python

from incarnation import IncarnationTracker


def together(*works):
    """Runs functions at the same time; an exception in one of them fails the test."""
    failures, begin = [], threading.Barrier(len(works))

    def run(work):
        begin.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures, failures


def test_each_incarnation_is_accepted_from_one_thread_only():
    tracker, accepted = IncarnationTracker(), [[] for _ in range(4)]

    def claims(mine):
        for number in range(2000):
            if tracker.update_node(A, b"OK", number, 1.0):
                mine.append(number)

    together(*(lambda mine=mine: claims(mine) for mine in accepted))
    all_accepted = [number for mine in accepted for number in mine]
    assert len(all_accepted) == len(set(all_accepted))
    assert all(mine == sorted(mine) for mine in accepted)
    assert tracker.get_node_incarnation(A) == 1999


def test_own_incarnations_are_given_out_once_each():
    tracker, given = IncarnationTracker(), [[] for _ in range(4)]

    def increments(mine):
        for _ in range(1000):
            mine.append(tracker.increment_self_incarnation())

    together(*(lambda mine=mine: increments(mine) for mine in given))
    assert sorted(number for mine in given for number in mine) == list(range(1, 4001))


def test_readers_iterate_while_writers_insert_remove_and_sweep():
    tracker = IncarnationTracker(max_nodes=200, dead_node_retention_seconds=0.0)
    fixed = [(f"fixed{number}", 1) for number in range(100)]
    for node in fixed:
        tracker.update_node(node, b"OK", 1, 1e9)
    done = threading.Event()

    def writer(name):
        for number in range(3000):
            node = (f"{name}{number % 50}", 2)
            tracker.update_node(node, b"DEAD" if number % 3 else b"OK", number, 1.0, False)
            if number % 7 == 0:
                tracker.remove_node(node)
            if number % 100 == 0:
                tracker.cleanup_dead_nodes()
        done.set()

    def reader():
        while not done.is_set():
            assert set(fixed) <= set(tracker.node_states)
            assert all(state.incarnation == 1 for node, state in tracker.get_all_nodes()
                       if node[1] == 1)
            assert tracker.get_stats()["total_nodes"] >= 100

    together(lambda: writer("a"), lambda: writer("b"), reader, reader)


def test_a_forked_child_can_use_the_tracker_whatever_other_threads_did():
    """Threads update, sweep and take snapshots without pause while the process forks."""
    output = run_python(
        """
import os, sys, threading, warnings
import incarnation
warnings.simplefilter("ignore", DeprecationWarning)

tracker = incarnation.IncarnationTracker(dead_node_retention_seconds=0.0, max_nodes=300)
changes = tracker.changes()
done = threading.Event()

def work(name):
    number = 0
    while not done.is_set():
        number += 1
        node = (f"{name}{number % 400}", 1)
        tracker.update_node(node, b"DEAD" if number % 2 else b"OK", number, 1.0, False)
        if number % 50 == 0:
            tracker.cleanup()
            tracker.snapshot()
            changes.drain()

threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
for thread in threads:
    thread.start()
for _ in range(12):
    child = os.fork()
    if child == 0:
        node = ("child", 1)
        tracker.update_node(node, b"OK", 5, 1.0)
        assert tracker.get_node_state(node).incarnation == 5
        tracker.update_node(node, b"DEAD", 6, 1.0)
        for number in range(350):
            tracker.update_node((f"full{number}", 2), b"OK", 1, 2.0)
        tracker.cleanup()
        tracker.cleanup()
        assert len(tracker.node_states) <= 300, len(tracker.node_states)
        assert node not in tracker.node_states
        changes.drain()
        assert not changes.drain()
        tracker.update_node(node, b"OK", 7, 1.0)
        assert changes.wait(600)
        assert len(tracker.snapshot()) == len(tracker.node_states)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
done.set()
for thread in threads:
    thread.join()
print("forked")
"""
    )
    assert output.split() == ["forked"]


def test_a_fork_during_another_threads_first_use_leaves_the_child_no_taken_lock():
    """Whatever the module makes once is made at its import, so that no fork can fall into the making."""
    output = run_python(
        """
import os, threading, warnings
import incarnation
warnings.simplefilter("ignore", DeprecationWarning)

NODE = ("node", 1)

def use(tracker):
    tracker.update_node(NODE, b"OK", 5, 1.0)
    tracker.update(NODE, b"SUSPECT", 5)
    tracker.get_node_state(NODE)
    tracker.check_message_freshness(NODE, 5, b"OK")
    tracker.get_stats()
    tracker.cleanup()
    tracker.snapshot().to_dict()
    for wrong in (("node", "x"), ("\\ud800", 1)):
        try:
            tracker.update_node(wrong, b"OK", 1, 1.0)
        except (TypeError, ValueError):
            pass

def fork_at_the_first_use():
    tracker = incarnation.IncarnationTracker()
    begun = threading.Event()

    def first():
        begun.set()
        use(tracker)

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        use(tracker)
        os._exit(0)
    thread.join()
    return os.waitpid(child, 0)[1]

for _ in range(400):
    fresh = os.fork()  # a process that has imported the module, and used nothing yet
    if fresh == 0:
        os._exit(1 if fork_at_the_first_use() else 0)
    _, status = os.waitpid(fresh, 0)
    assert status == 0, status
print("forked")
"""
    )
    assert output.split() == ["forked"]


def test_the_source_makes_no_python_object_at_its_first_use():
    """What pyo3 offers for that releases the GIL inside a lock, and a fork may fall into that moment."""
    source = Path(__file__).parent.parent / "src"
    files = sorted(source.glob("*.rs"))
    assert len(files) > 10
    for file in files:
        code = "\n".join(line.split("//")[0] for line in file.read_text().splitlines())
        for name in ("PyOnceLock", "GILOnceCell", "intern!", "LazyLock"):
            assert name not in code, f"{file.name}: {name}"
        if "freelist" in code:
            # Free lists are made at the first use as well, unless the import uses them.
            (made,) = re.findall(r"pub struct (\w+)", code.split("freelist", 1)[1])[:1]
            assert f"Py::new(py, {made}" in (source / "statics.rs").read_text(), made


def test_a_fork_waits_for_an_eviction_that_works_without_the_gil():
    """An eviction that is cut in half would keep the child from evicting for ever."""
    output = run_python(
        """
import os, threading, warnings
import incarnation
warnings.simplefilter("ignore", DeprecationWarning)

tracker = incarnation.IncarnationTracker(max_nodes=15_000, eviction_headroom=15_000)
claims = [((f"h{number}", 1), b"OK", 1) for number in range(16_000)]
done = threading.Event()

def evict():
    while not done.is_set():
        tracker.update_many(claims, 1.0)
        tracker.evict_if_needed()

thread = threading.Thread(target=evict)
thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        tracker.update_many(claims, 1.0)
        tracker.evict_if_needed()
        os._exit(0 if len(tracker) == 0 else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, "the child cannot evict"
done.set()
thread.join()
print("forked")
"""
    )
    assert output.split() == ["forked"]


def test_interpreter_exit_is_clean_with_threads_at_work_and_sweepers_running():
    output = run_python(
        """
import threading
import incarnation

tracker = incarnation.IncarnationTracker(dead_node_retention_seconds=0.0)
sweeper = tracker.sweeper(0.001)
kept = tracker.changes()

def work():
    number = 0
    while True:
        number += 1
        tracker.update_node((f"h{number % 100}", 1), b"DEAD", number, 1.0, False)
        tracker.cleanup()

def wait():
    changes = tracker.changes()
    while True:
        changes.drain()
        changes.wait()

for target in (work, work, wait):
    threading.Thread(target=target, daemon=True).start()
while sweeper.sweeps < 3:
    sweeper.sweep_now()
class AtTheEnd:
    def __del__(self, tracker=tracker):
        tracker.update_node(("end", 1), b"OK", 1, 1.0)
        tracker.cleanup()
tracker.update_node(("x", 1), b"OK", 1, 1.0)
tracker.set_data(("x", 1), AtTheEnd())
tracker.the_end = AtTheEnd()
print("ends")
"""
    )
    assert output.split() == ["ends"]


def test_the_module_says_that_it_needs_no_gil():
    gil = getattr(sys, "_is_gil_enabled", None)
    if gil is not None and sysconfig_is_free_threaded():
        assert not gil(), "importing the module enabled the GIL"


def sysconfig_is_free_threaded():
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED")) and os.environ.get("PYTHON_GIL") != "1"


def test_a_subinterpreter_is_refused_clearly_and_the_main_one_goes_on():
    output = run_python(
        """
import importlib, sys
for name in ("_interpreters", "_xxsubinterpreters"):
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
script = '''
try:
    import incarnation
except ImportError as error:
    print("refused:", error, flush=True)
else:
    print("imported", flush=True)
'''
def try_it():
    if sys.version_info >= (3, 13):
        one = interpreters.create("legacy")
        interpreters.exec(one, script)
    else:
        one = interpreters.create(isolated=False) if sys.version_info >= (3, 12) else interpreters.create()
        interpreters.run_string(one, script)
try_it()
import incarnation
try_it()
tracker = incarnation.IncarnationTracker()
assert tracker.update_node(("h", 1), b"OK", 1, 1.0)
print("main works")
"""
    )
    lines = output.splitlines()
    refusal = "refused: incarnation does not support subinterpreters: import it in the main interpreter"
    assert lines == [refusal, refusal, "main works"]
