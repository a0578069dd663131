"""The settings as a Markdown table, made from `Settings` and the remarks beside its fields."""

from __future__ import annotations

import dataclasses
import inspect
import re

from agents.settings import Settings

_FIELD = re.compile(r"^    (\w+): .*?(?:  # (.*))?$")


def settings_table() -> str:
    """One row per setting: variable, default, meaning."""
    found = [match for line in inspect.getsource(Settings).splitlines() if (match := _FIELD.match(line))]
    remarks: dict[str, str] = {match[1]: match[2] or "" for match in found}
    rows = [
        f"| `DRUMBEAT_{field.name.upper()}` | {_default(field.default)} | {remarks[field.name]} |"
        for field in dataclasses.fields(Settings)
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(value: object) -> str:
    return f"`{value}`" if value not in ("", ()) else ""
