"""Memory stays flat: `python -m tests.faults.soak --seconds 1200` feeds a worker ever new terms, ids and authors and watches it.

One worker with all agents; log time runs faster than the wall clock, so that the hour of retained windows, the horizon of ids,
the table of terms and the caches fill and turn over several times. Every second its resident memory (of the worker, by pid:
an embedded broker keeps what it is told) and all `drumbeat_bound_*` gauges are written down; `build/soak.json` has them all.

It fails unless the median of the last third is at most FLAT_SHARE and FLAT_BYTES above the median of the middle third, every
gauge stays at or below its cap, and the worker was not more than a few seconds behind at the end. The first third is for
filling what has a cap. A leak of 20 bytes an event would show: a third of 20 minutes at 1,500 events a second is 600,000 events,
but only once it is 32 MB; so the slope per event is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaProducer

from agents.local import LocalBroker
from agents.settings import Settings
from schemas.watchlist import Brand
from tests.faults.soak_talk import BRANDS, Talk
from tests.integration.logs import prepare
from tests.integration.worker import ROOT, Worker
from tests.kafka_server import KafkaServer, NoKafka

FLAT_SHARE = 0.05  # what the allocators of libc, polars and the embedded ClickHouse breathe ...
FLAT_BYTES = 20_000_000  # ... and how unevenly a checkpoint or a merge falls into a third
PARTITIONS = 2
STEP_S = 0.25
MAX_BEHIND = 20_000  # records that wait before the feed waits too: it is to be steady, not to win

_BOUND = re.compile(r"^drumbeat_bound_(used|cap)\{([^}]*)\} (\S+)$", re.MULTILINE)
_LAG = re.compile(r'^drumbeat_source_lag_records\{agent="\w+"\} (\S+)$', re.MULTILINE)


class Sample(msgspec.Struct):
    """What was seen at one moment."""

    second: float
    resident_bytes: int
    anonymous_bytes: int  # of these, what no file could give back: without mapped libraries and database files
    lag: float
    events: int
    used: dict[str, float]


class Report(msgspec.Struct, kw_only=True):
    """The whole run."""

    seconds: float
    events: int
    log_hours: float
    thirds: list[int]  # median resident bytes of each third
    anonymous: list[int]  # the same of anonymous ones
    slope_bytes_per_event: float  # from the middle third to the last
    caps: dict[str, float]
    problems: list[str]
    samples: list[Sample]


async def soak(seconds: float, rate: int, speed: int, broker: str, place: Path) -> Report:
    """Feeds a worker for so long and says whether its memory stayed flat."""
    settings = Settings(kafka=broker, clickhouse=f"chdb://{place}/db", prefix="soak", session_timeout_ms=6_000)
    await prepare(settings, [Brand(id=brand) for brand in BRANDS], PARTITIONS)
    start_ms = int((time.time() - (seconds + 60) * speed) * 1000)  # never ahead of the wall clock
    talk = Talk(1, PARTITIONS, start_ms)
    async with Worker(settings, place / "worker.log") as worker, _producer(settings) as producer:
        samples: list[Sample] = []
        caps: dict[str, float] = {}
        feeding = asyncio.create_task(_feed(talk, producer, settings.topics.raw, (seconds, rate, speed), samples))
        begun = time.monotonic()
        while not feeding.done():
            _, text = await worker.get("/metrics")
            samples.append(_sample(text, worker.pid, time.monotonic() - begun, talk.number, caps))
            await asyncio.wait([feeding], timeout=1.0)
        await feeding
        ended = worker.returncode
    report = judge(samples, caps, seconds * speed / 3600)
    if ended is not None:
        report.problems.append(f"the worker ended with {ended}: {worker.log_end()}")
    return report


def judge(samples: Sequence[Sample], caps: dict[str, float], log_hours: float) -> Report:
    """The verdict on a run."""
    third = max(len(samples) // 3, 1)
    parts = [samples[:third], samples[third : 2 * third], samples[2 * third :]]
    medians = [int(median(one.resident_bytes for one in part)) if part else 0 for part in parts]
    anonymous = [int(median(one.anonymous_bytes for one in part)) if part else 0 for part in parts]
    middles = [part[len(part) // 2].events if part else 0 for part in parts]
    grown = medians[2] - medians[1]
    problems = [f"no sample in third {number + 1}" for number, part in enumerate(parts) if not part]
    if grown > FLAT_SHARE * medians[1] + FLAT_BYTES:
        problems.append(f"resident memory grew by {grown / 1e6:.0f} MB from the middle third to the last: {_megabytes(medians)}")
    for what, cap in sorted(caps.items()):
        most = max(one.used.get(what, 0.0) for one in samples)
        if most > cap:
            problems.append(f"{what} was at {most:,.0f}, its cap is {cap:,.0f}")
    return Report(
        seconds=samples[-1].second,
        events=samples[-1].events,
        log_hours=log_hours,
        thirds=medians,
        anonymous=anonymous,
        slope_bytes_per_event=grown / max(middles[2] - middles[1], 1),
        caps=caps,
        problems=problems,
        samples=list(samples),
    )


def table(report: Report) -> str:
    """The run for people."""
    lines = [
        f"{report.seconds:,.0f} s, {report.events:,} events, {report.log_hours:.1f} h of log time",
        f"resident, median of each third: {_megabytes(report.thirds)}; {report.slope_bytes_per_event:+.1f} bytes an event",
        f"of this no file: {_megabytes(report.anonymous)}",
        "",
        f"{'what':<34} {'first third':>14} {'middle':>14} {'last':>14} {'most':>14} {'cap':>14}",
    ]
    third = max(len(report.samples) // 3, 1)
    parts = [report.samples[:third], report.samples[third : 2 * third], report.samples[2 * third :]]
    for what, cap in sorted(report.caps.items()):
        means = [median(one.used.get(what, 0.0) for one in part) if part else 0.0 for part in parts]
        most = max(one.used.get(what, 0.0) for one in report.samples)
        lines.append(f"{what:<34} " + " ".join(f"{value:>14,.0f}" for value in (*means, most, cap)))
    return "\n".join([*lines, "", *(report.problems or ["memory is flat and every bound holds"])])


async def _feed(talk: Talk, producer: Any, topic: str, pace: tuple[float, int, int], samples: Sequence[Sample]) -> None:
    seconds, rate, speed = pace
    begun, log_ms = time.monotonic(), talk.start_ms
    while (now := time.monotonic() - begun) < seconds:
        if samples and samples[-1].lag > MAX_BEHIND:
            await asyncio.sleep(STEP_S)
            continue
        until_ms = log_ms + int(STEP_S * speed * 1000)
        sent = [
            await producer.send(topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.timestamp_ms)
            for one in talk.posts(log_ms, until_ms, int(rate * STEP_S))
        ]
        await asyncio.gather(*sent)
        log_ms = until_ms
        await asyncio.sleep(max(STEP_S - (time.monotonic() - begun - now), 0.0))


def _sample(metrics: str, pid: int, second: float, events: int, caps: dict[str, float]) -> Sample:
    used: dict[str, float] = {}
    for kind, labels, value in _BOUND.findall(metrics):
        what = re.search(r'what="(\w+)"', labels)
        assert what is not None, labels
        (used if kind == "used" else caps)[what[1]] = float(value)
    lag = sum(float(value) for value in _LAG.findall(metrics))
    return Sample(second, memory(pid, "VmRSS"), memory(pid, "RssAnon"), lag, events, used)


def memory(pid: int, kind: str) -> int:
    """Bytes of a process, as the kernel names them."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{kind}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1]) * 1024


def _megabytes(values: Sequence[int]) -> str:
    return " → ".join(f"{value / 1e6:,.0f}" for value in values) + " MB"


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[Any]:
    producer = AIOKafkaProducer(**settings.kafka_options(), acks="all", linger_ms=5)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@contextmanager
def _kafka(kind: str, place: Path) -> Iterator[str | None]:
    """Apache Kafka, whose memory does not grow with what it is told; None where it cannot be had or is not wanted."""
    with ExitStack() as stack:
        address = None
        try:
            if kind != "tansu":
                address = stack.enter_context(KafkaServer(place)).address
        except NoKafka as error:
            if kind == "kafka":
                raise
            sys.stderr.write(f"no Apache Kafka here, the embedded broker will do: {error}\n")
        yield address


async def _soak_on(address: str | None, arguments: argparse.Namespace, place: Path) -> Report:
    if address is not None:
        return await soak(arguments.seconds, arguments.rate, arguments.speed, address, place)
    async with LocalBroker() as broker:
        return await soak(arguments.seconds, arguments.rate, arguments.speed, broker.address, place)


def main(argv: Sequence[str] | None = None) -> int:
    """0 if memory stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--rate", type=int, default=1_500, help="posts a second of the wall clock")
    parser.add_argument("--speed", type=int, default=20, help="seconds of log time per second")
    parser.add_argument("--broker", choices=("any", "kafka", "tansu"), default="any")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary, _kafka(arguments.broker, Path(temporary)) as address:
        report = asyncio.run(_soak_on(address, arguments, Path(temporary)))
    out = ROOT / "build" / "soak.json"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(orjson.dumps(msgspec.to_builtins(report)))
    sys.stdout.write(table(report) + "\n")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
