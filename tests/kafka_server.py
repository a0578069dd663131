"""Apache Kafka on loopback: one node in KRaft mode, fetched by Maven, gone when its owner is gone.

The jars stay in Maven's own cache, so only the first start ever needs the network. Whatever is missing is a `NoKafka` that
says what; nothing here waits for a network longer than `RESOLVE_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from agents.local import free_port, with_parent

VERSION = "4.1.0"
RESOLVE_TIMEOUT_S = 300.0  # 60 MB of jars, once
START_TIMEOUT_S = 90.0  # 4 s on a quiet machine
STOP_TIMEOUT_S = 20.0
HEAP = ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]  # starts fast, stays small
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
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={logs}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.index.size.max.bytes=65536
log.cleaner.dedupe.buffer.size=16777216
"""


class NoKafka(Exception):
    """Apache Kafka cannot be had here, and why."""


class KafkaServer:
    """Inside `with`, a broker answers at `.address`; afterwards its process has ended. Its data and log are in `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.address = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> KafkaServer:
        java = shutil.which("java")
        if java is None:
            raise NoKafka("no java on the path")
        run = [java, *HEAP, "-cp", class_path(self.place)]
        port, controller = free_port(), free_port()
        properties = self.place / "server.properties"
        properties.write_text(_PROPERTIES.format(port=port, controller=controller, logs=self.place / "data"))
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        _run([*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)], START_TIMEOUT_S)
        self.address = f"127.0.0.1:{port}"
        with (self.place / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                with_parent([*run, "kafka.Kafka", str(properties)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(port)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _wait(self, port: int) -> None:
        """It listens only when it is ready to answer."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NoKafka(f"the broker ended with {self._process.returncode}: {self._log_end()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.1)
        raise NoKafka(f"the broker does not answer after {START_TIMEOUT_S:.0f} s: {self._log_end()}")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def _log_end(self) -> str:
        return (self.place / "server.log").read_text(errors="replace")[-2_000:]


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


def _run(command: list[str], timeout_s: float) -> None:
    try:
        done = subprocess.run(with_parent(command), capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise NoKafka(f"{Path(command[0]).name} did not answer within {timeout_s:.0f} s") from None
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise NoKafka(f"{Path(command[0]).name} failed: {said[:600]}")
