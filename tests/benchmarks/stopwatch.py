"""Where the time goes within a call: named functions of the product are timed while it runs as it is, each without those it calls.

Functions are found by name where they are used. One that is not there any more is left out, and its time is then in `rest`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A function in the module, or class (`module:Class`), that calls it by that name."""

    step: str
    module: str
    function: str


class Stopwatch:
    """Seconds of computing per step, of this process and all its threads."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []  # of the calls under way, what their own calls took

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted."""

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            begun = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                took = time.process_time() - begun
                self.seconds[step] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return call


@contextmanager
def watching(places: Sequence[Place]) -> Iterator[Stopwatch]:
    """Times the functions at these places as long as it lasts."""
    watch = Stopwatch()
    before: list[tuple[Any, str, Any]] = []
    for place in places:
        module, _, inside = place.module.partition(":")
        owner: Any = import_module(module)
        owner = getattr(owner, inside, None) if inside else owner
        function = getattr(owner, place.function, None)
        if function is not None:
            before.append((owner, place.function, function))
            setattr(owner, place.function, watch.timed(place.step, function))
    try:
        yield watch
    finally:
        for owner, name, function in reversed(before):
            setattr(owner, name, function)
