"""What the exit codes of `drumbeat` mean."""

from __future__ import annotations

from typing import Final

OK: Final = 0
NOT_SO: Final = 1
USAGE: Final = 2
WORLD: Final = 3
UNFINISHED: Final = 4
BUG: Final = 70
INTERRUPTED: Final = 130

MEANING = {
    OK: "done",
    NOT_SO: "what was asked about is not so: doctor found problems, verify a difference, the demo was not as planted, a refusal",
    USAGE: "wrong usage, configuration or input file",
    WORLD: "the broker or ClickHouse cannot be reached or refuses",
    UNFINISHED: "verify found no difference, but the worker has not finished what it would compare",
    BUG: "a bug in drumbeat; --debug shows where",
    INTERRUPTED: "stopped by Ctrl-C",
}
