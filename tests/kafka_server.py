"""Apache Kafka on loopback: one to three nodes in KRaft mode, fetched by Maven, gone when their owner is gone.

The jars stay in Maven's own cache, so only the first start ever needs the network. Whatever is missing is a `NoKafka` that
says what; nothing here waits for a network longer than `RESOLVE_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agents.local import with_parent
from tests.kafka_node import Node, live_brokers
from tests.tcp_proxy import TcpProxy
from tests.tcp_relay import Mode

VERSION = "4.1.0"
RESOLVE_TIMEOUT_S = 300.0  # 60 MB of jars, once
START_TIMEOUT_S = 90.0  # 4 s on a quiet machine
STOP_TIMEOUT_S = 20.0
STARTS_FAST = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # and stays small
AS_DEPLOYED = ("-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
"""What Kafka's own start script says."""
_TIMEOUTS = [
    "-Dmaven.wagon.rto=15000",
    "-Dmaven.wagon.http.retryHandler.count=1",
    "-Daether.connector.connectTimeout=5000",
    "-Daether.connector.requestTimeout=15000",
]
_CLASS_PATH = Path(__file__).parents[1] / "build" / f"kafka-{VERSION}.classpath"
_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>drumbeat</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


_OLD_JAVA = "UnsupportedClassVersionError"


class NoKafka(Exception):
    """Apache Kafka cannot be had here, and why."""


class KafkaFailed(Exception):
    """Apache Kafka is here, but a broker does not start: nothing to be skipped."""


class KafkaServer:
    """Inside `with`, brokers answer at `.address`; afterwards their processes have ended. Data and logs are in `place`.

    Brokers are named by node id, from 0. Each is a controller too: of three, one may be gone. Who bootstraps from `.route(k)` talks
    to all brokers by proxies of its own, `.proxy(k, node)`, that `.set_route` cuts, slows and heals together.
    """

    def __init__(self, place: Path, *, brokers: int = 1, routes: int = 0, options: Sequence[str] = STARTS_FAST) -> None:
        self.place, self.brokers, self.options = place, brokers, options
        self.address = ""
        self._nodes = [Node(i, place if brokers == 1 else place / f"broker{i}", routes) for i in range(brokers)]
        self._proxies = contextlib.ExitStack()
        self._java: list[str] = []

    def __enter__(self) -> KafkaServer:
        java = shutil.which("java")
        if java is None:
            raise NoKafka("no java on the path")
        self._java = [java, *self.options, "-cp", class_path(self.place)]
        try:
            self._format()
            for broker in self._nodes:
                self.launch(broker.number)
            for proxy in (proxy for broker in self._nodes for proxy in broker.proxies):
                self._proxies.enter_context(proxy)
            for broker in self._nodes:
                self.wait(broker.number, len(self._nodes))
        except BaseException:
            self.__exit__()
            raise
        self.address = ",".join(broker.address for broker in self._nodes)
        return self

    def __exit__(self, *_: object) -> None:
        for broker in self._nodes:
            self.kill(broker.number)  # the data has served its purpose
        self._proxies.close()

    def kill(self, node: int) -> None:
        """The broker is gone without a word, what it wrote is still there."""
        process = self._nodes[node].process
        if process is not None:
            process.kill()
            process.wait()

    def stop_gracefully(self, node: int) -> None:
        """It has handed over what it led and ended; killed if it cannot, as when no other is left to take over."""
        process = self._nodes[node].process
        assert process is not None
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill(node)

    def pause(self, node: int) -> None:
        """It keeps its connections and does nothing at all, like a machine that hangs."""
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """It goes on as if no time had passed."""
        self._signal(node, signal.SIGCONT)

    def alive(self, node: int) -> bool:
        """Its process runs, or is paused."""
        process = self._nodes[node].process
        return process is not None and process.poll() is None

    def start(self, node: int) -> None:
        """Answers again, at the same address with the same data. Blocks for seconds: in a loop, `launch` and `wait` in a thread."""
        self.launch(node)
        self.wait(node)

    def launch(self, node: int) -> None:
        """Its process runs. Not from a thread that ends early: the kernel would end the broker with that thread."""
        assert threading.current_thread() is threading.main_thread()
        assert not self.alive(node)
        broker = self._nodes[node]
        with (broker.place / "server.log").open("ab") as log:
            broker.process = subprocess.Popen(
                with_parent([*self._java, "kafka.Kafka", str(broker.properties)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, node: int, brokers: int = 1) -> None:
        """It answers, and knows of at least that many live brokers."""
        broker = self._nodes[node]
        assert broker.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if broker.process.poll() is not None:
                raise KafkaFailed(f"broker {node} ended with {broker.process.returncode}: {broker.log_end()}")
            with contextlib.suppress(OSError):
                known = live_brokers(broker.port)
                if node in known and len(known) >= brokers:
                    return
            time.sleep(0.1)
        raise KafkaFailed(f"broker {node} does not answer after {START_TIMEOUT_S:.0f} s: {broker.log_end()}")

    def route(self, k: int) -> str:
        """Bootstrap address; who starts here reaches every broker through proxies k only."""
        return ",".join(broker.proxies[k].address for broker in self._nodes)

    def proxy(self, k: int, node: int = 0) -> TcpProxy:
        """The proxy of one route to one broker."""
        return self._nodes[node].proxies[k]

    def set_route(self, k: int, mode: Mode, *, delay_s: float = 0.0, rate: float | None = None) -> None:
        """All proxies of a route are in that mode; see `TcpProxy`."""
        for broker in self._nodes:
            broker.proxies[k].set(mode, delay_s=delay_s, rate=rate)

    def _signal(self, node: int, number: signal.Signals) -> None:
        process = self._nodes[node].process
        assert process is not None
        process.send_signal(number)

    def _format(self) -> None:
        cluster = cluster_id()
        for broker in self._nodes:
            broker.configure(self._nodes)
        tool = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c"]
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda broker: _run([*tool, str(broker.properties)], START_TIMEOUT_S, KafkaFailed), self._nodes))


def cluster_id() -> str:
    """16 random bytes as Kafka writes them; never with a dash in front, which its tools would read as an option."""
    random = uuid.uuid4().bytes
    return urlsafe_b64encode(bytes([random[0] & 0x7F]) + random[1:]).rstrip(b"=").decode()


def class_path(place: Path) -> str:
    """All jars that Kafka needs, fetched if they are not there; the answer is kept in build/ while the jars are."""
    if _CLASS_PATH.exists() and all(Path(jar).exists() for jar in _CLASS_PATH.read_text().split(os.pathsep)):
        return _CLASS_PATH.read_text()
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka("no mvn on the path")
    (place / "pom.xml").write_text(_POM)
    found = place / "classpath"
    command = [maven, "-q", "-B", "-f", str(place / "pom.xml"), "dependency:build-classpath", f"-Dmdep.outputFile={found}"]
    try:
        _run([*command, "--offline"], RESOLVE_TIMEOUT_S)
    except NoKafka:
        _run([*command, *_TIMEOUTS], RESOLVE_TIMEOUT_S)
    _CLASS_PATH.parent.mkdir(exist_ok=True)
    shutil.copy(found, _CLASS_PATH)
    return found.read_text()


def _run(command: list[str], timeout_s: float, failure: type[Exception] = NoKafka) -> None:
    try:
        done = subprocess.run(with_parent(command), capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise failure(f"{Path(command[0]).name} did not answer within {timeout_s:.0f} s") from None
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise (NoKafka if _OLD_JAVA in said else failure)(f"{Path(command[0]).name} failed: {said[:600]}")
