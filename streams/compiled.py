"""Loops that no column operation does well, compiled to machine code when first called, and kept on disk for the next process.

A compiled function takes numbers, arrays and tuples of them, no objects. What is kept is kept apart for every state of the files
beside this one: it holds the constants and the compiled functions of other files as they were. It lies in NUMBA_CACHE_DIR, else
beside this file; where neither may be written, every process compiles anew (see streams.warm).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")

_HERE = Path(__file__).parent


def _kept() -> bool:
    """Whether there is a place to keep what is compiled; it is chosen here."""
    config: Any = numba.config  # what it holds is made at import
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else _HERE / "__pycache__" if os.access(_HERE, os.W_OK) else None
    if base is None:
        return False
    state = blake2b(b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py"))), digest_size=8).hexdigest()
    config.CACHE_DIR = str(base / f"compiled-{state}")
    return True


_KEPT = _kept()


def compiled(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """The same function, some hundred times as fast."""
    try:
        made = numba.njit(cache=_KEPT, error_model="numpy")(function)
    except RuntimeError:  # nowhere to keep it after all
        made = numba.njit(error_model="numpy")(function)
    return cast(Callable[_Params, _Result], made)


def inlined(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """The same for a small one that is called in an inner loop: a call that hands arrays on costs as much as ten steps."""
    return cast(Callable[_Params, _Result], numba.njit(error_model="numpy", inline="always")(function))
