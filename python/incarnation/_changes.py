"""`Changes`: what changes in a tracker, for asynchronous programs and for threads."""

import asyncio
import math
import select
from collections import deque

#: The longest that `poll` waits, in milliseconds.
_LONGEST = 2**31 - 1


def _wake(future):
    if not future.done():
        future.set_result(None)


async def _changed(subscriber):
    loop = asyncio.get_running_loop()
    woken = loop.create_future()
    # The subscriber owns the descriptor, and is kept until the loop has forgotten it.
    descriptor = subscriber.fileno()
    loop.add_reader(descriptor, _wake, woken)
    try:
        await woken
    finally:
        loop.remove_reader(descriptor)


def _is_readable(descriptor, timeout):
    # Not `select.select`, which refuses descriptors above 1023.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if timeout is None:
        return bool(poll.poll())
    if not timeout >= 0:
        raise ValueError(f"timeout must not be negative, got {timeout}")
    return bool(poll.poll(_LONGEST if timeout * 1000 > _LONGEST else math.ceil(timeout * 1000)))


class Changes:
    """What changes in a tracker, at the pace of whoever reads it.

    It tells of states, not of events: each node that differs from what was last told of it, once, with
    its latest state. So nothing piles up however slow the reader is. At first it tells of all nodes
    there are, or with `from_now=True` of none of them. No final state is missed.

        async for change in tracker.changes():
            print(change.node, change.kind, change.current)

    Waiting costs no thread: whoever changes the tracker writes a byte to a socket that the running event
    loop watches. A cancelled wait loses nothing. One task (or thread) at a time: a second
    task that waits gets a RuntimeError. The iteration ends when
    the subscription is closed, or when the tracker is gone and everything was told.
    """

    def __init__(self, tracker, *, from_now=False):
        self._subscriber = tracker._subscribe(from_now)
        self._pending = deque()
        self._is_awaited = False

    def drain(self):
        """The changes that were not told of yet, as a list; empty if there are none."""
        changes = list(self._pending)
        self._pending.clear()
        changes.extend(self._reader().drain())
        return changes

    def wait(self, timeout=None):
        """Blocks until something changed, at most so many seconds. Returns whether something did.

        ValueError if nothing will ever change: the subscription is closed, or the tracker is gone.
        """
        if self._pending:
            return True
        # Kept here, so that its descriptor stays open while another thread closes the subscription.
        subscriber = self._reader()
        news = subscriber.arm()
        if news is None:
            raise ValueError("the tracker is gone, and everything was told")
        if news:
            return True
        is_readable = _is_readable(subscriber.fileno(), timeout)
        self._reader()
        return is_readable

    def close(self):
        """Ends the subscription. An iteration or a wait that is under way ends as well, in any thread."""
        subscriber, self._subscriber = self._subscriber, None
        self._pending.clear()
        if subscriber is not None:
            subscriber.wake()

    def _reader(self):
        if self._subscriber is None:
            raise ValueError("the subscription is closed")
        return self._subscriber

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while (subscriber := self._subscriber) is not None:
            if not self._pending:
                self._pending.extend(subscriber.drain())
            if self._pending:
                return self._pending.popleft()
            news = subscriber.arm()
            if news is None:
                break
            if not news:
                if self._is_awaited:
                    raise RuntimeError("another task waits for these changes: each needs its own")
                self._is_awaited = True
                try:
                    await _changed(subscriber)
                finally:
                    self._is_awaited = False
        raise StopAsyncIteration
