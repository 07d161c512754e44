"""`Sweeper`: a thread that cleans up a tracker."""

import atexit
import sys
import threading
import weakref


class Sweeper:
    """A thread that calls `tracker.cleanup()` every so many seconds.

    It also cleans up at once when a node was refused because the tracker was full. It ends with
    `stop()`, at the end of a `with` block, when the interpreter exits, and when the tracker or the
    sweeper itself is no longer used.

        with tracker.sweeper(5.0):
            ...
    """

    def __init__(self, tracker, interval, *, death_records=True, name="incarn-sweeper"):
        interval = float(interval)
        if not interval > 0:
            raise ValueError(f"interval must be above 0 seconds, got {interval}")
        self._wanted = threading.Event()
        self._state = _State()
        self._tracker = weakref.ref(tracker)
        hook = self._wanted.set
        tracker._add_at_capacity(hook)
        self._thread = threading.Thread(
            target=_run,
            args=(self._tracker, self._wanted, self._state, interval, death_records),
            name=name,
            daemon=True,
        )
        # Before the interpreter takes itself apart, while the thread can still be waited for.
        self._stop = weakref.finalize(
            self, _stop, self._tracker, hook, self._wanted, self._state
        )
        self._stop.atexit = False
        atexit.register(_stop_and_join, weakref.ref(self))
        self._thread.start()

    @property
    def sweeps(self):
        """How many cleanups have ended."""
        return self._state.sweeps

    def sweep_now(self):
        """Has the thread clean up at once, and does not wait for it."""
        self._wanted.set()

    def stop(self):
        """Ends the thread and waits for its end."""
        self._stop()
        if self._thread is not threading.current_thread():
            self._thread.join()

    @property
    def running(self):
        return self._thread.is_alive()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()


class _State:
    __slots__ = ("stopping", "sweeps")

    def __init__(self):
        self.stopping = False
        self.sweeps = 0


def _stop(reference, hook, wanted, state):
    tracker = reference()
    if tracker is not None:
        tracker._remove_at_capacity(hook)
    state.stopping = True
    wanted.set()


def _stop_and_join(reference):
    sweeper = reference()
    if sweeper is not None:
        sweeper.stop()


def _run(reference, wanted, state, interval, death_records):
    while not state.stopping:
        wanted.clear()
        tracker = reference()
        if tracker is None or state.stopping:
            return
        try:
            tracker.cleanup()
            if death_records:
                tracker.cleanup_death_records()
        except Exception:
            # The thread lives on: the next cleanup may do better.
            threading.excepthook(
                threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
            )
        del tracker
        state.sweeps += 1
        wanted.wait(interval)
