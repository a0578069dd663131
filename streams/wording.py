"""The one sentence that says why: numbers a person on duty understands, whole grammar in every variant, no term syntax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.moments import Moment
from schemas.watchlist import Brand

_WORDS = 4  # that distinguish it; more is no sentence
_FELT = 0.05  # a mood nearer to nothing, as before, is no mood
_UNITS = ((86_400_000, "day", "days"), (3_600_000, "h", "h"), (60_000, "min", "min"), (1_000, "s", "s"))


def why(moment: Moment, subject: str, watch: Mapping[str, Brand], evidence: Sequence[str], remark: str) -> str:
    """The sentence for a moment whose other fields are filled; `subject` is the term that its numbers are about."""
    parts = [_closed(moment, subject, watch) if moment.status == "closed" else _going_on(moment, subject, watch)]
    if evidence:
        parts.append(f", but {joined(evidence)}: a flood, not a moment")
    elif remark:
        parts.append(f"; {remark}")
    if moment.sentiment is not None and max(abs(moment.sentiment), abs(moment.sentiment_shift or 0.0)) >= _FELT:
        parts.append(f"; mood {_signed(moment.sentiment)}{_before(moment)}")
    return "".join(parts) + "."


def spoken(term: str, watch: Mapping[str, Brand]) -> str:
    """A term as people write it: “Acme”, #acme, @acme, “two words”, links to acme.com."""
    kind, _, value = term.partition(":")
    if kind == "brand":
        brand = watch.get(value)
        return f"“{(brand and brand.name) or value}”"
    return {"hashtag": f"#{value}", "mention": f"@{value}", "domain": f"“{value}” (links)"}.get(kind, f"“{value}”")


def joined(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join((", ".join(items[:-1]), items[-1])) if len(items) > 1 else "".join(items)


def number(value: float) -> str:
    """`84`, `2.1`, `12,345`; one decimal below 10."""
    return f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:,.0f}"


def duration(ms: int) -> str:
    """`40 s`, `1.5 min`, `2 h`, `1 day`: the largest unit that fits."""
    for unit_ms, one, many in _UNITS:
        if ms >= unit_ms:
            count = number(ms / unit_ms)
            return f"{count} {one if count == '1' else many}"
    return "0 s"


def counted(count: int, one: str) -> str:
    """`1 post`, `84 posts`."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def _going_on(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    now = "now " if moment.status == "updated" else ""
    rising = f", rising for {duration(moment.updated_ms - moment.since_ms)}" if moment.updated_ms - moment.since_ms >= 1_000 else ""
    return (
        f"{_named(moment, subject, watch)} is {now}at {counted(moment.observed, 'post')} in {duration(moment.scale_ms)} "
        f"where {_usual(moment.expected)} (score {number(moment.score)}){rising}, {_people(moment)}{_with(moment)}"
    )


def _closed(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    return (
        f"{_named(moment, subject, watch)} is over after {duration(moment.updated_ms - moment.since_ms)}: "
        f"{counted(moment.peak, 'post')} in {duration(moment.scale_ms)} at the peak where {_usual(moment.expected)}, "
        f"{counted(moment.events, 'post')} in all, {_people(moment)}{_with(moment)}"
    )


def _named(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    brands = [spoken(f"brand:{brand}", watch) for brand in moment.brands if f"brand:{brand}" != subject]
    return f"{spoken(subject, watch)} (with {joined(brands)})" if brands else spoken(subject, watch)


def _usual(expected: float) -> str:
    if expected < 0.05:
        return "almost none is usual"
    shown = number(expected)
    return f"{shown} {'is' if shown == '1' else 'are'} usual"


def _people(moment: Moment) -> str:
    if moment.unknown_authors and not moment.authors:
        return "authors unknown"
    unknown = f" and {counted(moment.unknown_authors, 'post')} by unknown authors"
    return counted(moment.authors, "author") + (unknown if 10 * moment.unknown_authors >= moment.events else "")


def _with(moment: Moment) -> str:
    words = [word.text for word in moment.words[:_WORDS]]
    return f", with {', '.join(words)}" if words else ""


def _before(moment: Moment) -> str:
    if moment.sentiment is None or moment.sentiment_shift is None:
        return ""
    return f" against {_signed(moment.sentiment - moment.sentiment_shift)} before"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")
