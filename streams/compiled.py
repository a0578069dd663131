"""Loops that no column operation does well, compiled to machine code when first called, and kept on disk for the next process.

A compiled function takes numbers and arrays, no objects, and is checked by tests that run it as plain Python too. It may call only
compiled functions of its own file: what is kept on disk is made anew when that file changes, not when another one does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


def compiled(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """The same function, some hundred times as fast; as plain Python it is its `py_func`."""
    try:
        made = numba.njit(cache=True, error_model="numpy", forceinline=True)(function)
    except RuntimeError:  # nowhere to keep it: no directory that may be written
        made = numba.njit(error_model="numpy")(function)
    return cast(Callable[_Params, _Result], made)
