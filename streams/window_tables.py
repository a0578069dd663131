"""The tables of windows as sections of a checkpoint. Tables never change, so a list of them can be written while windows go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl

from schemas import frames
from streams.alignment import Piece, dump_piece, load_piece
from streams.window_state import LeftOut, Retained, TableBytes, WindowState


@dataclass(frozen=True, slots=True)
class FrozenWindows:
    """The tables of all windows at one packet."""

    sent: pl.DataFrame
    sent_facets: pl.DataFrame
    open_terms: dict[int, list[TableBytes]]
    open_facets: dict[int, list[pl.DataFrame]]
    retained: dict[int, tuple[TableBytes, TableBytes]]
    applied: dict[int, Piece]

    @classmethod
    def of(cls, state: WindowState) -> Self:
        """Those of this state now. What an earlier one has of a part that is still there is not made again."""
        known = {id(part.table): part for part in state.frozen_parts}
        open_terms = {
            start: [known.get(id(part)) or TableBytes(part) for part in parts] for start, parts in state.open_terms.items()
        }
        state.frozen_parts = [part for parts in open_terms.values() for part in parts]
        return cls(
            state.sent,
            state.sent_facets,
            open_terms,
            {start: parts.copy() for start, parts in state.open_facets.items()},
            {start: window.frozen() for start, window in state.retained.items()},
            state.applied.copy(),
        )

    def sections(self) -> dict[str, bytes]:
        """One for each table; of an open window's terms one for each part, to be added up when it closes."""
        sections = {"sent": frames.to_bytes(self.sent), "sent-facets": frames.to_bytes(self.sent_facets)}
        for start, parts in self.open_terms.items():
            sections |= {f"open/{start}/{number}": part.packed() for number, part in enumerate(parts)}
        for start, tables in self.open_facets.items():
            sections[f"open-facets/{start}"] = frames.to_bytes(pl.concat(tables, rechunk=True))
        for start, (cells, facets) in self.retained.items():
            sections[f"retained/{start}"], sections[f"retained-facets/{start}"] = cells.packed(), facets.packed()
        for source, piece in self.applied.items():
            sections[f"applied/{source}"] = dump_piece(piece)
        return sections


def restore_tables(sections: Mapping[str, bytes], left_out: Mapping[int, LeftOut]) -> WindowState:
    """A state with the tables of `sections`; `left_out` of every retained window."""
    state = WindowState(sent=frames.from_bytes(sections["sent"]))
    if "sent-facets" in sections:  # a checkpoint of before there were any has none
        state.sent_facets = frames.from_bytes(sections["sent-facets"])
    for name, data in sorted(sections.items(), key=lambda section: _number(section[0])):
        kind, _, rest = name.partition("/")
        key, _, _ = rest.partition("/")
        if kind == "open":
            state.open_terms.setdefault(int(key), []).append(frames.from_bytes(data))
        elif kind == "open-facets":
            state.open_facets[int(key)] = [frames.from_bytes(data)]
        elif kind == "retained":
            facets = frames.from_bytes(sections[f"retained-facets/{key}"])
            state.retained[int(key)] = Retained(frames.from_bytes(data), facets, left_out[int(key)])
        elif kind == "applied":
            state.applied[int(key)] = load_piece(data)
    return state


def _number(name: str) -> int:
    """Of a part; before 0.2 an open window was one section."""
    _, _, number = name.partition("/")[2].partition("/")
    return int(number) if number.isdecimal() else 0
