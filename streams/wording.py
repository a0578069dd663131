"""The one sentence that says why: numbers a person on duty understands, whole grammar in every variant, no term syntax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.moments import Moment
from schemas.watchlist import Brand

_WORDS = 4  # that distinguish it; more is no sentence
_STEM = 5  # letters that bombing, bombings and #bombing share: said once
_FELT = 0.05  # a mood nearer to nothing, as before, is no mood
_RISEN_MS = 5_000  # before, it has just begun
_UNITS = ((86_400_000, "day", "days"), (3_600_000, "h", "h"), (60_000, "min", "min"), (1_000, "s", "s"))


@dataclass(frozen=True, slots=True)
class Story:
    """What the sentence is made of beside the numbers."""

    subject: str  # the term that the numbers are about
    evidence: Sequence[str] = ()  # that it is a flood
    remark: str = ""
    signals: Sequence[str] = ()  # clauses
    surges: bool = True  # False: the signals are all there is


def why(moment: Moment, story: Story, watch: Mapping[str, Brand]) -> str:
    """The sentence for a moment whose other fields are filled."""
    subject = story.subject
    if not story.surges:
        parts = [_signalled(moment, story, watch)]
    elif moment.status == "closed":
        parts = [_closed(moment, subject, watch)]
    else:
        parts = [_going_on(moment, subject, watch)]
    if story.evidence:
        parts.append(f", but {joined(story.evidence)}: a flood, not a moment")
    elif story.remark:
        parts.append(f"; {story.remark}")
    if story.surges and story.signals:
        parts.append(f"; {joined(story.signals)}")
    if moment.sentiment is not None and not any("mood" in clause for clause in story.signals):
        parts.append(_mood(moment.sentiment, moment.sentiment_shift))
    return "".join(parts) + "."


def spoken(term: str, watch: Mapping[str, Brand]) -> str:
    """A term as people write it: “Acme”, #acme, @acme, “two words”, links to acme.com."""
    kind, _, value = term.partition(":")
    if kind == "brand":
        brand = watch.get(value)
        return f"“{(brand and brand.name) or value}”"
    return {"hashtag": f"#{value}", "mention": f"@{value}", "domain": f"“{value}” (links)"}.get(kind, f"“{value}”")


def title_of(term: str, watch: Mapping[str, Brand]) -> str:
    """The term without quotation marks."""
    return spoken(term, watch).removesuffix(" (links)").strip("“”")


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


def signed(value: float) -> str:
    """`+0.10`, `−0.62`, `0.00`."""
    return f"{value:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


def _going_on(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    now = "now " if moment.status == "updated" else ""
    risen_ms = moment.updated_ms - moment.since_ms
    rising = f", rising for {duration(risen_ms)}" if risen_ms >= _RISEN_MS else ""
    return (
        f"{_named(moment, subject, watch)} is {now}at {counted(moment.observed, 'post')} in {duration(moment.scale_ms)} "
        f"where {_usual(moment.expected)} (score {number(moment.score)}){rising}, {_people(moment)}{_with(moment)}"
    )


def _signalled(moment: Moment, story: Story, watch: Mapping[str, Brand]) -> str:
    over = f" is over after {duration(moment.updated_ms - moment.since_ms)}" if moment.status == "closed" else ""
    return f"{_named(moment, story.subject, watch)}{over}: {joined(story.signals)}{_with(moment)}"


def _closed(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    return (
        f"{_named(moment, subject, watch)} is over after {duration(moment.updated_ms - moment.since_ms)}: "
        f"{counted(moment.peak, 'post')} in {duration(moment.scale_ms)} at the peak where {_usual(moment.expected)}, "
        f"{counted(moment.events, 'post')} in all, {_people(moment)}{_with(moment)}"
    )


def _named(moment: Moment, subject: str, watch: Mapping[str, Brand]) -> str:
    brands = [spoken(f"brand:{brand}", watch) for brand in moment.brands if f"brand:{brand}" != subject]
    phrase = subject == moment.lead_term and subject.startswith("keyword:") and moment.title
    name = f"“{moment.title}”" if phrase else spoken(subject, watch)
    return f"{name} (with {joined(brands)})" if brands else name


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
    words: list[str] = []
    for word in (word.text for word in moment.words):
        stem = word.lstrip("#")
        said = [*moment.title.lstrip("#").split(), *(one.lstrip("#") for one in words)]
        if len(words) < _WORDS and not any(stem.startswith(one[:_STEM]) and one.startswith(stem[:_STEM]) for one in said if one):
            words.append(word)
    return f", with {', '.join(words)}" if words else ""


def _mood(sentiment: float, shift: float | None) -> str:
    if max(abs(sentiment), abs(shift or 0.0)) < _FELT:
        return ""
    return f"; mood {signed(sentiment)}" + ("" if shift is None else f" against {signed(sentiment - shift)} before")
