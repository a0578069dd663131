"""ClickHouse's HTTP interface over the embedded engine: what clients send and get, as the server's own handler does it.

Not here: sessions (each request stands alone), `compress=1` and `decompress=1` (ClickHouse's own framing), progress headers,
and the block info that `client_protocol_version` asks for, without which clients get by.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from multidict import MultiDict

from tests.clickhouse_encodings import accepted, decoded, encoded
from tests.clickhouse_engine import Answer, Engine, ExternalTable, Question
from tests.clickhouse_faults import Fault, Faults, Tally
from tests.clickhouse_statements import Refused, Statement, parse

KEEP_ALIVE_S = 30
_MAX_URI_BYTES = 1 << 20  # as http_max_uri_size
_ENGINE_THREADS = 64
_SEEN = 10_000

# What HTTPHandler takes for itself; all else in the URL is a setting.
_RESERVED = frozenset(
    {
        *("query", "query_id", "database", "default_format", "user", "password", "role", "quota_key"),
        *("session_id", "session_timeout", "session_check", "close_session", "client_protocol_version"),
        *("wait_end_of_query", "buffer_size", "stacktrace", "compress", "decompress"),
    }
)
# exceptionCodeToHTTPStatus; all else is 500, with 252 and what else is temporary among it.
_STATUS_OF = {
    194: 401,
    **dict.fromkeys((192, 193, 497, 512, 516), 403),
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168), 400),
    **dict.fromkeys((223, 321, 376, 427, 441, 675, 676), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),
    **dict.fromkeys((76, 209, 439), 503),
    **{48: 501, 159: 408, 229: 413, 381: 411},
}
_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "JSON": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}


class HttpInterface:
    """Answers requests. `users` are names with their passwords; `seen` the last URL parameters, oldest first."""

    def __init__(self, engine: Engine, users: Mapping[str, str], tally: Tally) -> None:
        self.engine, self.users, self.tally = engine, dict(users), tally
        self.faults = Faults()
        self.seen: deque[dict[str, str]] = deque(maxlen=_SEEN)
        self._threads = ThreadPoolExecutor(_ENGINE_THREADS, "clickhouse")

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Inside, it answers on the loopback port that is yielded; afterwards no statement runs any more."""
        server = web.Server(
            self._answer,
            request_factory=_unlimited,
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE_S,
            max_line_size=_MAX_URI_BYTES,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, backlog=1_024).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
            await asyncio.to_thread(self._threads.shutdown)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path in ("/ping", "/replicas_status"):
            return web.Response(text="Ok.\n")
        if request.path == "/control":
            return await self._control(request)
        if request.path != "/":
            return web.Response(status=404, text=f"There is no handle {request.path}\n")
        if request.method == "GET" and not request.query:
            return web.Response(text="Ok.\n")
        options = MultiDict(request.query)
        headers = {"X-ClickHouse-Query-Id": options.get("query_id") or str(uuid.uuid4())}
        try:
            return await self._ask(request, options, headers)
        except Refused as error:
            self.tally.add("refused")
            headers["X-ClickHouse-Exception-Code"] = str(error.code)
            text = f"Code: {error.code}. DB::Exception: {error.message} (version {self.engine.version})\n"
            return _response(request, options, headers, text.encode(), _STATUS_OF.get(error.code, 500))

    async def _ask(self, request: web.BaseRequest, options: MultiDict[str], headers: dict[str, str]) -> web.StreamResponse:
        """1 read all, 2 meet a fault before the statement, 3 run it, 4 meet a fault behind it, 5 answer."""
        tables, body = await _body(request, options)  # 1
        self.seen.append(dict(options))
        self._log_in(request, options)
        statement = parse(b"\n".join(part for part in (options.get("query", "").encode(), body) if part))
        fault = self.faults.met_by(statement.kind)
        if fault is not None:
            self.tally.add(fault.kind)
            if (instead := await self._before(fault, request)) is not None:  # 2
                return instead
        question = _question(request, options, statement, tables)
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, self.engine.ask, question)  # 3
        self._count(statement, answer)
        headers |= self._about(question, answer)
        if fault is not None and fault.kind == "drop_after":  # 4
            return _dropped(request)
        if fault is not None and fault.kind == "half":
            return await _half(request, headers, answer.body)
        return _response(request, options, headers, answer.body)  # 5

    async def _before(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
        if fault.error is not None:
            raise Refused(*fault.error)
        if fault.kind == "status":
            return web.Response(status=fault.status, text=f"<html><h1>{fault.status}</h1>{fault.text}</html>\n")
        if fault.kind == "drop_before":
            return _dropped(request)
        if fault.kind in ("hang", "slow"):
            await self.faults.healed(None if fault.kind == "hang" else fault.seconds)
        return None

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        """The door for tests: {"do": "fail", ...}, {"do": "heal"} and {"do": "counts"}; the counts are the answer."""
        order = json.loads(await request.read())
        try:
            match order.pop("do", None):
                case "fail":
                    self.faults.fail(**order)
                case "heal":
                    self.faults.heal()
                case "counts":
                    pass
                case unknown:
                    raise ValueError(f"cannot do {unknown!r}; there are fail, heal and counts")
        except (TypeError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(self.tally.counts())

    def _log_in(self, request: web.BaseRequest, options: Mapping[str, str]) -> None:
        user, password = _login(request, options)
        if user not in self.users or self.users[user] != password:
            text = "Authentication failed: password is incorrect, or there is no user with such name."
            raise Refused(516, f"{user}: {text} (AUTHENTICATION_FAILED)")

    def _count(self, statement: Statement, answer: Answer) -> None:
        self.tally.add({"insert": "inserts", "select": "selects"}.get(statement.kind, "others"))
        if statement.kind == "insert":
            self.tally.add("rows", answer.written_rows)

    def _about(self, question: Question, answer: Answer) -> dict[str, str]:
        summary = {
            "read_rows": answer.read_rows,
            "read_bytes": answer.read_bytes,
            "written_rows": answer.written_rows,
            "written_bytes": len(question.statement.data or b""),
            "total_rows_to_read": answer.read_rows,
            "result_rows": answer.result_rows or answer.written_rows,
            "result_bytes": len(answer.body),
            "elapsed_ns": answer.elapsed_ns,
        }
        headers = {
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}, separators=(",", ":")),
            "X-ClickHouse-Server-Display-Name": "chdb",
            "X-ClickHouse-Timezone": self.engine.timezone,
        }
        if question.statement.kind == "select":
            form = question.statement.form or question.default_format
            headers |= {"X-ClickHouse-Format": form, "Content-Type": _CONTENT_TYPES.get(form, "text/plain; charset=UTF-8")}
        return headers


def _unlimited(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=0)


async def _body(request: web.BaseRequest, options: MultiDict[str]) -> tuple[list[ExternalTable], bytes]:
    """The body as it was before it was compressed; of a form, the tables, and its other fields in `options`."""
    if request.method == "POST" and not any(name in request.headers for name in ("Content-Length", "Transfer-Encoding")):
        raise Refused(381, "The Transfer-Encoding is not chunked and there is no Content-Length header. (HTTP_LENGTH_REQUIRED)")
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if request.content_type == "multipart/form-data":
        form = await request.post()
        options.extend({name: value for name, value in form.items() if isinstance(value, str)})
        return [_table(value, options) for value in form.values() if isinstance(value, web.FileField)], b""
    body, encoding = await request.read(), request.headers.get("Content-Encoding", "identity").lower()
    return [], decoded(body, encoding)


def _table(field: web.FileField, options: MultiDict[str]) -> ExternalTable:
    structure = options.pop(f"{field.name}_structure", "")
    types = options.pop(f"{field.name}_types", "")
    columns = structure or ", ".join(f"_{number} {one}" for number, one in enumerate(types.split(","), 1))
    return ExternalTable(field.name, columns, options.pop(f"{field.name}_format", "TabSeparated"), field.file.read())


def _login(request: web.BaseRequest, options: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in request.headers or "X-ClickHouse-Key" in request.headers:
        return request.headers.get("X-ClickHouse-User", "default"), request.headers.get("X-ClickHouse-Key", "")
    found = re.fullmatch(r"Basic (\S+)", request.headers.get("Authorization", ""))
    if found is None:
        return options.get("user", "default"), options.get("password", "")
    try:
        user, _, password = base64.b64decode(found[1], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(516, "Invalid authentication: not base64. (AUTHENTICATION_FAILED)") from None
    return user or "default", password


def _question(request: web.BaseRequest, options: Mapping[str, str], statement: Statement, tables: list[ExternalTable]) -> Question:
    for framing in ("compress", "decompress"):
        if options.get(framing, "0") not in ("0", ""):
            raise Refused(48, f"{framing}=1 is not done here; use Content-Encoding or Accept-Encoding. (NOT_IMPLEMENTED)")
    params = {name.removeprefix("param_"): value for name, value in options.items() if name.startswith("param_")}
    settings = {name: value for name, value in options.items() if name not in _RESERVED and not name.startswith("param_")}
    if request.method == "GET":
        settings.setdefault("readonly", "2")
    return Question(
        statement,
        database=options.get("database", "") or request.headers.get("X-ClickHouse-Database", ""),
        settings=settings,
        params=params,
        default_format=options.get("default_format", "") or request.headers.get("X-ClickHouse-Format", "TabSeparated"),
        tables=tables,
    )


def _response(
    request: web.BaseRequest, options: Mapping[str, str], headers: dict[str, str], body: bytes, status: int = 200
) -> web.StreamResponse:
    encoding = accepted(request.headers.get("Accept-Encoding", "")) if options.get("enable_http_compression") == "1" else None
    if encoding is not None:
        headers["Content-Encoding"] = encoding
        body = encoded(body, encoding)
    return web.Response(status=status, body=body, headers={"Content-Type": "text/plain; charset=UTF-8"} | headers)


def _dropped(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _half(request: web.BaseRequest, headers: Mapping[str, str], body: bytes) -> web.StreamResponse:
    """The headers of the whole, half of the body, the end."""
    response = web.StreamResponse(headers=headers)
    response.content_length = max(len(body), 2)
    await response.prepare(request)
    if body:
        await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
