"""Questions to a worker on this machine over its own page."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import polars as pl

from schemas.errors import ConfigurationError, DrumbeatError, SinkUnavailable

CONNECT_S = 2.0
ANSWER_S = 60.0


class NoWorker(DrumbeatError):
    """Nobody answers at the address."""


async def ask_health(listen: str) -> tuple[bool, str]:
    """Whether the worker is ready, and what it says; raises NoWorker."""
    status, text = await _ask("GET", listen, "/readyz")
    return status == 200, f"{listen} answers {'ready' if status == 200 else 'not ready'}: {' '.join(text.split())[:200]}"


async def ask_query(listen: str, sql: str) -> pl.DataFrame:
    """The worker's answer from the ClickHouse that it holds open.

    Raises NoWorker if nobody answers or this worker stores nothing, ConfigurationError if it refuses the statement.
    """
    status, text = await _ask("POST", listen, "/query", sql)
    if status == 404:
        raise NoWorker(f"the worker at {listen} takes no questions: it stores nothing, or listens beyond this machine")
    if status == 503:
        raise SinkUnavailable(text.strip())
    if status != 200:
        raise ConfigurationError(f"the worker at {listen} refuses: {text.strip()[:500]}")
    return pl.DataFrame(json.loads(text))


async def _ask(method: str, listen: str, path: str, body: str | None = None) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
    options: dict[str, Any] = {"headers": {"X-Drumbeat": "query"}} if body is not None else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, f"http://{listen}{path}", data=body, **options) as response,
        ):
            return response.status, await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoWorker(f"no worker answers on {listen}: {error or type(error).__name__}") from error
