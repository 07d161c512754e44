"""`IncarnationTracker` and its live mapping of nodes."""

from collections.abc import ItemsView, KeysView, Mapping, ValuesView

from ._changes import Changes
from ._incarnation import Tracker
from ._sweeper import Sweeper


class _Keys(KeysView):
    __slots__ = ()

    def __iter__(self):
        return iter(self._mapping._tracker._nodes())

    def __repr__(self):
        return f"NodeStates.keys({self._mapping._tracker._nodes()!r})"


class _Values(ValuesView):
    __slots__ = ()

    def __iter__(self):
        return iter(self._mapping._tracker._states())


class _Items(ItemsView):
    __slots__ = ()

    def __iter__(self):
        return iter(self._mapping._tracker.get_all_nodes())


class NodeStates(Mapping):
    """The nodes of a tracker, live: what it answers is what the tracker holds at that moment.

    A mapping of node to `NodeState`. States are copies; the mapping cannot be assigned to. An iteration
    goes over the nodes there were when it began, however many are added or removed meanwhile.
    """

    __slots__ = ("_tracker",)

    def __init__(self, tracker):
        self._tracker = tracker

    def __len__(self):
        return len(self._tracker)

    def __contains__(self, node):
        return node in self._tracker

    def __getitem__(self, node):
        state = self._tracker.get_node_state(node)
        if state is None:
            raise KeyError(node)
        return state

    def get(self, node, default=None):
        state = self._tracker.get_node_state(node)
        return default if state is None else state

    def __iter__(self):
        return iter(self._tracker._nodes())

    def keys(self):
        return _Keys(self)

    def values(self):
        return _Values(self)

    def items(self):
        return _Items(self)

    def copy(self):
        """The nodes and their states now, as a dict."""
        return dict(self._tracker.get_all_nodes())

    def __repr__(self):
        return f"NodeStates({self.copy()!r})"


class IncarnationTracker(Tracker):
    __doc__ = Tracker.__doc__

    @property
    def node_states(self):
        """The nodes and their states, as a live mapping that cannot be assigned to."""
        return NodeStates(self)

    def set_logger(self, logger, node_host, node_port, node_id):
        """Keeps a logger and this node's names, for programs that set and read them.

        Nothing is logged: exceptions of callbacks go to `sys.unraisablehook`.
        """
        self._logger = logger
        self._node_host = node_host
        self._node_port = node_port
        self._node_id = node_id

    def changes(self, *, from_now=False):
        """What changes in the tracker, for `async for`; see `Changes`."""
        return Changes(self, from_now=from_now)

    def sweeper(self, interval, **options):
        """Starts a thread that cleans up every so many seconds; see `Sweeper`."""
        return Sweeper(self, interval, **options)
