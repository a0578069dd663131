"""One node of a Kafka cluster on loopback: its ports, its configuration, and what it says about the others."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase, BytesIO
from pathlib import Path

from tests.tcp_proxy import TcpProxy, steady_port

# Dead brokers are missed and replaced within seconds; a topic may allow messages of 12 MB.
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={logs}
num.partitions=1
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.num.partitions=1
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
controller.quorum.election.timeout.ms=500
controller.quorum.election.backoff.max.ms=500
controller.quorum.fetch.timeout.ms=1500
replica.lag.time.max.ms=3000
replica.fetch.wait.max.ms=250
replica.fetch.backoff.ms=250
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
log.index.size.max.bytes=65536
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclass
class Node:
    """One broker and controller, its process if there is one."""

    number: int
    place: Path
    routes: int
    process: subprocess.Popen[bytes] | None = None
    port: int = field(default_factory=steady_port)
    controller: int = field(default_factory=steady_port)
    proxies: list[TcpProxy] = field(init=False)  # one per route

    def __post_init__(self) -> None:
        self.proxies = [TcpProxy(steady_port()) for _ in range(self.routes)]

    @property
    def address(self) -> str:
        """Where clients reach it directly."""
        return f"127.0.0.1:{self.port}"

    @property
    def properties(self) -> Path:
        """Its configuration file."""
        return self.place / "server.properties"

    def configure(self, nodes: Sequence[Node]) -> None:
        """The configuration file is there, for a cluster of these nodes."""
        own = {"PLAINTEXT": self.port, **{f"ROUTE{k}": proxy.target for k, proxy in enumerate(self.proxies)}}
        seen = {"PLAINTEXT": self.port, **{f"ROUTE{k}": proxy.port for k, proxy in enumerate(self.proxies)}}
        text = _PROPERTIES.format(
            node=self.number,
            voters=",".join(f"{node.number}@127.0.0.1:{node.controller}" for node in nodes),
            listeners=_listeners({**own, "CONTROLLER": self.controller}),
            advertised=_listeners(seen),
            protocols=",".join(f"{name}:PLAINTEXT" for name in [*own, "CONTROLLER"]),
            logs=self.place / "data",
            replicas=len(nodes),
            in_sync=max(len(nodes) - 1, 1),
        )
        self.place.mkdir(exist_ok=True)
        self.properties.write_text(text)

    def log_end(self) -> str:
        """The last it said."""
        return (self.place / "server.log").read_text(errors="replace")[-2_000:]


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


def live_brokers(port: int) -> set[int]:
    """Node ids in the broker's answer to a metadata request, version 1, about no topic; OSError if there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as asking, asking.makefile("rwb") as stream:
        stream.write(struct.pack(">ihhihi", 14, 3, 1, 0, -1, 0))
        stream.flush()
        (size,) = struct.unpack(">i", _exactly(stream, 4))
        answer = BytesIO(_exactly(stream, size))
    _, count = struct.unpack(">ii", answer.read(8))
    found = set()
    for _ in range(count):
        node, host = struct.unpack(">ih", answer.read(6))
        answer.read(host + 4)
        (rack,) = struct.unpack(">h", answer.read(2))
        answer.read(max(rack, 0))
        found.add(node)
    return found


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ConnectionResetError("the broker closed the connection")
    return data
