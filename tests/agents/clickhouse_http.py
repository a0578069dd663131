"""ClickHouse's HTTP interface over the embedded engine: what is needed to run the server path of a client without a server."""

from __future__ import annotations

import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import chdb


class HttpClickHouse(ThreadingHTTPServer):
    """Serves the engine at `path` on a free port. `fail_with` (status, code, text) makes it answer so instead."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = chdb.connect(str(path))
        self.lock = threading.Lock()
        self.fail_with: tuple[int, int, str] | None = None
        self.seen: list[dict[str, str]] = []  # the URL parameters of all requests
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def run(self, options: dict[str, str], body: bytes) -> bytes:
        params = {name.removeprefix("param_"): value for name, value in options.items() if name.startswith("param_")}
        sql, data = (options["query"], body) if "query" in options else _statement_and_data(body)
        with self.lock, tempfile.NamedTemporaryFile() as file:
            if options.get("database"):
                self.engine.query(f"USE `{options['database']}`")
            if data:
                file.write(data)
                file.flush()
                head, _, form = sql.rpartition(" FORMAT ")
                sql = f"{head} FROM INFILE '{file.name}' FORMAT {form}"
            return bytes(self.engine.query(sql, "TabSeparated", params=params).bytes() or b"")

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()
        self.engine.close()


def _statement_and_data(body: bytes) -> tuple[str, bytes]:
    if not body.startswith(b"INSERT"):
        return body.decode(), b""
    statement, _, data = body.partition(b"\n")
    return statement.decode(), data


class _Handler(BaseHTTPRequestHandler):
    server: HttpClickHouse
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        options = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(options)
        if self.server.fail_with is not None:
            self.answer(*self.server.fail_with)
            return
        if self.path.startswith("/ping"):
            self.answer(200, 0, "Ok.\n")
            return
        try:
            self.answer(200, 0, self.server.run(options, body))
        except RuntimeError as error:
            self.answer(500, int(str(error).split("Code: ")[1].split(".")[0]), str(error))

    def answer(self, status: int, code: int, body: bytes | str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Requests are in `seen`; the test's output stays clean."""
