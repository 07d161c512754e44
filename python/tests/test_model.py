"""Random operations on the tracker and on the rule in plain Python: the same answers, the same states."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from reference import ReferenceTracker

from incarnation import IncarnationTracker

NODES = [(f"10.0.0.{number}", 7946) for number in range(9)] + [("::1", 7946), ("ä", 0)]
nodes = st.sampled_from(NODES)
statuses = st.sampled_from([b"UNCONFIRMED", b"OK", b"JOIN", b"SUSPECT", b"DEAD", b"LEFT"])
incarnations = st.one_of(
    st.integers(0, 6),
    st.integers(995, 1010),
    st.sampled_from([-1, 2**31 - 1, 2**31, 2**70, -(2**70)]),
)


def as_stored(status):
    return b"OK" if status == b"JOIN" else status


def shown(state):
    return None if state is None else (
        as_stored(state.status), state.incarnation, state.last_update_time
    )


class BesideTheReference(RuleBasedStateMachine):
    @initialize(max_nodes=st.integers(1, 8), headroom=st.integers(0, 4))
    def begin(self, max_nodes, headroom):
        self.now = 1000.0
        clock = lambda: self.now  # noqa: E731
        options = {"max_nodes": max_nodes, "dead_node_retention_seconds": 30.0,
                   "eviction_headroom": headroom, "clock": clock}
        self.tracker = IncarnationTracker(**options)
        self.reference = ReferenceTracker(**options)
        self.evicted = []
        self.tracker.set_eviction_callback(lambda node, state: self.evicted.append(node))

    def both(self, method, *arguments):
        mine = getattr(self.tracker, method)(*arguments)
        theirs = getattr(self.reference, method)(*arguments)
        assert mine == theirs, (method, arguments, mine, theirs)
        return mine

    def tick(self):
        # No two updates at one time, so that the order of evictions is determined.
        self.now += 0.25
        return self.now

    @rule(node=nodes, status=statuses, incarnation=incarnations)
    def update(self, node, status, incarnation):
        self.both("check_message_freshness", node, incarnation, status)
        self.both("update_node", node, status, incarnation, self.tick())

    @rule(node=nodes, status=statuses, incarnation=st.integers(0, 2**40))
    def update_without_validation(self, node, status, incarnation):
        self.both("check_message_freshness", node, incarnation, status, False)
        self.both("update_node", node, status, incarnation, self.tick(), False)

    @rule(claims=st.lists(st.tuples(nodes, statuses, incarnations), max_size=40))
    def update_many(self, claims):
        now = self.tick()
        # Claims of one packet have one time: of each node only the last accepted one counts.
        claims = list({node: (node, *rest) for node, *rest in claims}.values())[:1] or claims
        mine = self.tracker.update_many(claims, now)
        assert mine == [self.reference.update_node(*claim, now) for claim in claims]

    @rule(node=nodes)
    def introduce(self, node):
        self.both("add_unconfirmed_node", node, self.tick())

    @rule(node=nodes, incarnation=st.integers(0, 2000))
    def confirm(self, node, incarnation):
        self.both("confirm_node", node, incarnation, self.tick())

    @rule(node=nodes)
    def remove(self, node):
        self.both("remove_node", node)

    @rule(seconds=st.sampled_from([1.0, 29.0, 31.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(method=st.sampled_from(["cleanup", "cleanup_dead_nodes", "evict_if_needed"]))
    def clean_up(self, method):
        before = dict(self.reference.node_states)
        self.evicted.clear()
        self.both(method)
        gone = before.keys() - self.reference.node_states.keys()
        assert sorted(self.evicted) == sorted(gone)

    @precondition(lambda self: hasattr(self, "tracker"))
    @invariant()
    def same_states(self):
        mine = {node: shown(state) for node, state in self.tracker.node_states.items()}
        theirs = {node: shown(state) for node, state in self.reference.node_states.items()}
        assert mine == theirs
        stats = self.tracker.get_stats()
        assert stats == {**stats, **self.reference.get_stats()}


BesideTheReference.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
test_random_operations_have_the_results_of_the_plain_rule = BesideTheReference.TestCase
