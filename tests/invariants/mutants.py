"""Mutants: functions of the operators with one mechanism broken, by a change of their source.

A change whose place is gone raises, so that a test of the tests never passes because it broke nothing.
"""

from __future__ import annotations

import inspect
import textwrap
from types import ModuleType

import pytest


def mutate(patch: pytest.MonkeyPatch, owner: ModuleType | type, name: str, changes: dict[str, str], *seen_by: ModuleType) -> None:
    """Replaces a function of a module or class by one with every old text changed; `seen_by`: modules that imported it."""
    function = inspect.unwrap(getattr(owner, name))
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes.items():
        assert old in source, f"{owner.__name__}.{name} has no {old!r} any more: this mutant needs another place"
        source = source.replace(old, new)
    changed = compile(source, f"<mutant of {name}>", "exec", annotations.compiler_flag)
    namespace: dict[str, object] = {}
    exec(changed, vars(inspect.getmodule(function)), namespace)
    for place in (owner, *seen_by):
        patch.setattr(place, name, namespace[name])
