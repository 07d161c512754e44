from . import IncarnationTracker as _IncarnationTracker
from . import _Node, _CleanupReport

__all__ = ["IncarnationTracker"]

class IncarnationTracker(_IncarnationTracker):
    async def update_node(  # type: ignore[override]
        self, node: _Node, status: bytes, incarnation: int, timestamp: float, validate: bool = True
    ) -> bool: ...
    async def remove_node(self, node: _Node) -> bool: ...  # type: ignore[override]
    async def add_unconfirmed_node(  # type: ignore[override]
        self, node: _Node, timestamp: float | None = None
    ) -> bool: ...
    async def confirm_node(  # type: ignore[override]
        self, node: _Node, incarnation: int = 0, timestamp: float | None = None
    ) -> bool: ...
    async def increment_self_incarnation(self) -> int: ...  # type: ignore[override]
    async def cleanup_dead_nodes(self) -> int: ...  # type: ignore[override]
    async def evict_if_needed(self) -> int: ...  # type: ignore[override]
    async def cleanup_death_records(self) -> int: ...  # type: ignore[override]
    async def cleanup(self) -> _CleanupReport: ...  # type: ignore[override]
