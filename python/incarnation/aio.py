"""`IncarnationTracker` with awaitable methods, for programs that await them.

Nothing in it waits: an awaited call has done its work before it returns. Its other methods are those of
the synchronous class.
"""

from ._tracker import IncarnationTracker as _IncarnationTracker

__all__ = ["IncarnationTracker"]


class IncarnationTracker(_IncarnationTracker):
    """The tracker with coroutines for the methods that change it."""

    async def update_node(self, node, status, incarnation, timestamp, validate=True):
        return super().update_node(node, status, incarnation, timestamp, validate)

    async def remove_node(self, node):
        return super().remove_node(node)

    async def add_unconfirmed_node(self, node, timestamp=None):
        return super().add_unconfirmed_node(node, timestamp)

    async def confirm_node(self, node, incarnation=0, timestamp=None):
        return super().confirm_node(node, incarnation, timestamp)

    async def increment_self_incarnation(self):
        return super().increment_self_incarnation()

    async def cleanup_dead_nodes(self):
        return super().cleanup_dead_nodes()

    async def evict_if_needed(self):
        return super().evict_if_needed()

    async def cleanup_death_records(self):
        return super().cleanup_death_records()

    async def cleanup(self):
        return super().cleanup()
