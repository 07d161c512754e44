"""Five processes that gossip over UDP; the tracker is all the membership state there is.

    python examples/cluster.py

Each process is one node of a small SWIM: every period it pings another node and tells it all it knows; a
node that does not answer is suspected, then declared dead, and refutes if it lives. No message waits in a
queue: the receiver of a datagram applies its claims at once. One node is killed and started again.
Exits with 0 when all agree on who is alive, who is dead, and who is back.
"""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
import time

from incarnation import IncarnationTracker

NODES = 5
HOST = "127.0.0.1"
PERIOD = 0.1
ACK_TIMEOUT = 1.0
SUSPECT_TIMEOUT = 2.0
DEADLINE = 300.0


class Node(asyncio.DatagramProtocol):
    """One node: a socket, a tracker, and a task that pings."""

    def __init__(self, me, seeds):
        self.me = me
        self.tracker = IncarnationTracker(
            self_node=me, suspect_timeout_seconds=SUSPECT_TIMEOUT, dead_node_retention_seconds=60.0
        )
        self.waiting = {}
        for seed in seeds:
            if seed != me:
                self.tracker.add_unconfirmed_node(seed)

    def connection_made(self, transport):
        self.transport = transport

    def send(self, kind, to):
        states = self.tracker.node_states.items()
        claims = [[*node, state.status.decode(), state.incarnation] for node, state in states]
        claims.append([*self.me, "OK", self.tracker.self_incarnation])
        self.transport.sendto(json.dumps({"kind": kind, "claims": claims}).encode(), to)

    def datagram_received(self, data, sender):
        try:
            message = json.loads(data)
            claims = [
                ((host, port), status.encode(), incarnation)
                for host, port, status, incarnation in message["claims"]
            ]
            kind = message["kind"]
            verdicts = self.tracker.update_many(claims, time.monotonic(), verdicts=True)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            print(f"{self.me[1]}: a bad datagram from {sender}: {error}", file=sys.stderr)
            return
        for verdict in verdicts:
            if verdict.kind == "about_self":
                # Others hold this node suspect or dead, or know an earlier run of it: rise above that.
                self.tracker.answer(verdict.accused)
        if kind == "query":
            self.send("answer", sender)
            return
        self.tracker.confirm_node(sender)
        if kind == "ping":
            self.send("ack", sender)
        elif kind == "ack":
            self.waiting.pop(sender, None)

    async def ping(self):
        while True:
            await asyncio.sleep(PERIOD * random.uniform(0.8, 1.2))
            now = time.monotonic()
            for node, since in list(self.waiting.items()):
                if now - since > ACK_TIMEOUT:
                    del self.waiting[node]
                    known = self.tracker.get_node_state(node)
                    if known is not None and known.status == b"OK":
                        self.tracker.update_node(node, b"SUSPECT", known.incarnation, now)
            # Time turns suspicions into deaths.
            self.tracker.cleanup()
            nodes = list(self.tracker.node_states)
            if nodes:
                node = random.choice(nodes)
                self.waiting.setdefault(node, now)
                self.send("ping", node)

    async def tell(self):
        async for change in self.tracker.changes():
            state = "gone" if change.current is None else change.current.status.decode()
            print(f"{self.me[1]} sees {change.node[1]}: {state}", flush=True)


async def run_node(me, seeds):
    loop = asyncio.get_running_loop()
    node = Node(me, seeds)
    transport, _ = await loop.create_datagram_endpoint(lambda: node, local_addr=me)
    tasks = [asyncio.create_task(node.ping()), asyncio.create_task(node.tell())]
    # The pipe to the parent closes when the parent ends, however it ends.
    parent = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin)
    done = asyncio.ensure_future(parent.read())
    await asyncio.wait([done, *tasks], return_when=asyncio.FIRST_COMPLETED)
    transport.close()
    for task in tasks:
        task.cancel()


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind((HOST, 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """The parent: starts, kills and asks the nodes."""

    def __init__(self):
        self.deadline = time.monotonic() + DEADLINE
        self.ports = free_ports(NODES)
        self.processes = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(0.2)

    def start(self, port):
        arguments = [sys.executable, __file__, "node", str(port), *map(str, self.ports)]
        self.processes[port] = subprocess.Popen(arguments, stdin=subprocess.PIPE)

    def kill(self, port):
        process = self.processes.pop(port)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()

    def ask(self, port):
        """What a node holds: {port: (status, incarnation)}; None if it does not answer."""
        self.socket.sendto(json.dumps({"kind": "query", "claims": []}).encode(), (HOST, port))
        try:
            while True:
                data, sender = self.socket.recvfrom(65536)
                if sender == (HOST, port):
                    claims = json.loads(data)["claims"]
                    return {claim[1]: (claim[2], claim[3]) for claim in claims}
        except (TimeoutError, ConnectionError):
            return None

    def wait_for(self, what, holds):
        """Asks all nodes until what they hold is as it should be, and all hold the same."""
        while time.monotonic() < self.deadline:
            tables = [self.ask(port) for port in self.processes]
            if None not in tables and all(table == tables[0] for table in tables):
                if holds(tables[0]):
                    print(f"agreed: {what}", flush=True)
                    return tables[0]
            time.sleep(0.05)
        raise TimeoutError(f"no agreement: {what}; the nodes hold {tables}")

    def close(self):
        for port in list(self.processes):
            self.kill(port)
        self.socket.close()


def story(cluster):
    for port in cluster.ports:
        cluster.start(port)

    def all_alive(table):
        return set(table) == set(cluster.ports) and all(row[0] == "OK" for row in table.values())

    cluster.wait_for(f"{NODES} nodes are alive", all_alive)
    victim = cluster.ports[-1]
    cluster.kill(victim)
    table = cluster.wait_for(
        f"{victim} is dead, the others are alive",
        lambda table: all(
            row[0] == ("DEAD" if port == victim else "OK") for port, row in table.items()
        ),
    )
    death = table[victim][1]
    cluster.start(victim)
    cluster.wait_for(
        f"{victim} is back, above the incarnation of its death ({death})",
        lambda table: all_alive(table) and table[victim][1] > death,
    )


def main():
    if sys.argv[1:2] == ["node"]:
        port, *seeds = map(int, sys.argv[2:])
        asyncio.run(run_node((HOST, port), [(HOST, seed) for seed in seeds]))
        return 0
    cluster = Cluster()
    try:
        story(cluster)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        cluster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
