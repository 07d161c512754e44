"""A concurrent store of SWIM membership state: which nodes are alive, at which incarnation.

`IncarnationTracker` is a drop-in for the class of that name that keeps a dict of node states: the same
constructor, methods, defaults and exceptions. `incarnation.aio.IncarnationTracker` is the same with
awaitable methods.

    >>> from incarnation import IncarnationTracker
    >>> tracker = IncarnationTracker()
    >>> tracker.update_node(("10.0.0.7", 7946), b"SUSPECT", 3, 12.5)
    True
    >>> tracker.get_node_state(("10.0.0.7", 7946))
    NodeState(status=b'SUSPECT', incarnation=3, last_update_time=12.5)
"""

import os as _os

try:
    from ._incarnation import (
        MAX_INCARNATION,
        MAX_INCARNATION_JUMP,
        Change,
        NodeState,
        Snapshot,
        Verdict,
        _after_fork_in_child,
        _after_fork_in_parent,
        _before_fork,
    )
except ImportError as error:
    if "subinterpreters" in str(error):
        raise ImportError(
            "incarnation does not support subinterpreters: import it in the main interpreter"
        ) from error
    raise

from ._changes import Changes
from ._freshness import MessageFreshness
from ._sweeper import Sweeper
from ._tracker import IncarnationTracker, NodeStates

# An operation that works without the GIL is never cut in half by a fork.
if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )

__all__ = [
    "MAX_INCARNATION",
    "MAX_INCARNATION_JUMP",
    "Change",
    "Changes",
    "IncarnationTracker",
    "MessageFreshness",
    "NodeState",
    "NodeStates",
    "Snapshot",
    "Sweeper",
    "Verdict",
]
