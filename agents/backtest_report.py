"""A backtest as one HTML page that needs nothing else: no script, no request, every foreign text escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

from agents.backtest_plot import duration, plot, series, span_of
from schemas.moments import Moment, Sample

MAX_PLOTS = 300  # most severe first; the rest stay in the table and in moments.jsonl
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # the page says so itself: nothing may be loaded, nothing may run

Windows = Callable[[str, int, int], Mapping[int, int]]
"""Events of a term by window start, between two times."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the page is made of."""

    title: str
    moments: Sequence[Moment]  # every statement, in order
    windows: Windows
    facts: Mapping[str, str] = field(default_factory=dict)  # of the run: files, posts, span
    parameters: Mapping[str, str] = field(default_factory=dict)


def histories(moments: Iterable[Moment]) -> list[list[Moment]]:
    """The statements about each moment, in sequence; moments in the order of their opening."""
    by_id: dict[str, list[Moment]] = {}
    for moment in sorted(moments, key=lambda m: m.sequence):
        by_id.setdefault(moment.moment_id, []).append(moment)
    return sorted(by_id.values(), key=lambda history: (history[0].opened_ms, history[0].moment_id))


def render(report: Report) -> str:
    """The page."""
    all_of_them = histories(report.moments)
    severest = sorted(all_of_them, key=lambda h: -_severity(h))[:MAX_PLOTS]
    shown = [history for history in all_of_them if history in severest]
    left_out = len(all_of_them) - len(shown)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title><style>{_css()}</style></head><body>",
            f"<h1>{escape(report.title)}</h1>",
            _facts(report.facts),
            _summary(all_of_them),
            *(_article(history, report.windows) for history in shown),
            f'<p class="soft">{left_out} less severe moments are in the table only.</p>' if left_out else "",
            "<h2>Parameters and versions</h2>",
            _facts(report.parameters),
            "</body></html>",
        ]
    )


def _css() -> str:
    return files("agents").joinpath("backtest_report.css").read_text(encoding="utf-8")


def _severity(history: Sequence[Moment]) -> int:
    return max(moment.severity for moment in history)


def _summary(all_of_them: Sequence[Sequence[Moment]]) -> str:
    if not all_of_them:
        return "<p>No moment: nothing rose faster than its own past.</p>"
    rows = "".join(_row(history) for history in all_of_them)
    head = (
        '<th>opened (UTC)<th class="n">severity<th>lead term<th class="n">observed<th class="n">expected<th class="n">lasted<th>why'
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(history: Sequence[Moment]) -> str:
    first, last = history[0], history[-1]
    lasted = duration(last.closed_ms - first.opened_ms) if last.closed_ms is not None else "open"
    return (
        f'<tr><td><a href="#{_anchor(first)}">{_time(first.opened_ms)}</a><td class="n">{_severity(history)}'
        f'<td>{escape(first.lead_term)}{_badge(first)}<td class="n">{first.observed:,} in {duration(first.scale_ms)}'
        f'<td class="n">{first.expected:.3g}<td class="n">{lasted}<td>{escape(first.why)}</tr>'
    )


def _article(history: Sequence[Moment], windows: Windows) -> str:
    first, last = history[0], history[-1]
    start_ms, end_ms = span_of(history)
    shown = series(windows(first.lead_term, start_ms, end_ms), start_ms, end_ms)
    latest = last if last.why == first.why else None
    return "\n".join(
        [
            f'<article id="{_anchor(first)}"><h2><span class="severity">{_severity(history)}</span> '
            f"{escape(first.lead_term)}{_badge(first)}</h2>",
            f"<p>{escape(first.why)}</p>",
            "" if latest else f'<p class="soft">At the end: {escape(last.why)}</p>',
            plot(shown, history),
            f'<p class="soft">Bars: events per {duration(shown.step_ms)}. Dashed: expected from the term\'s own past.</p>',
            _facts(_details(history)),
            *(_sample(sample) for sample in last.samples or first.samples),
            "</article>",
        ]
    )


def _details(history: Sequence[Moment]) -> dict[str, str]:
    first, last = history[0], history[-1]
    sentiment = "" if last.sentiment is None else f"{last.sentiment:+.2f}"
    shift = "" if last.sentiment_shift is None else f" ({last.sentiment_shift:+.2f} against its own past)"
    facts = {
        "opened": f"{_time(first.opened_ms)}, {duration(max(first.lead_time_ms, 0))} after the rise began",
        "closed": "" if last.closed_ms is None else _time(last.closed_ms),
        "brands": ", ".join(last.brands),
        "moves with": ", ".join(last.terms[1:12]),
        "events": f"{last.events:,} ({last.originals:,} original, {last.replies:,} replies, {last.reposts:,} reposts)",
        "authors": f"about {last.authors:,}"
        + (f", and {last.unknown_authors:,} events of unknown authors" if last.unknown_authors else ""),
        "organic share": f"{last.organic_share:.0%}",
        "sentiment": sentiment + shift,
        "words": ", ".join(word.text for word in last.words),
        "platforms": _counts(last.platforms),
        "languages": _counts(last.languages),
        "communities": _counts(last.communities),
        "alerts": f"{len(history)} ({', '.join(m.status for m in history[:8])}{', …' if len(history) > 8 else ''})",
        "reasons": ", ".join(last.reasons),
    }
    return {name: value for name, value in facts.items() if value}


def _sample(sample: Sample) -> str:
    source = escape(sample.platform) + (f", {_time(sample.event_ms)}" if sample.event_ms is not None else "")
    if sample.url.startswith(("https://", "http://")):
        source = f'<a href="{escape(sample.url)}" rel="noreferrer noopener nofollow">{source}</a>'
    return f'<blockquote>{escape(sample.text)}<br><span class="soft">{source}</span></blockquote>'


def _facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items()) + "</dl>"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:8])


def _badge(moment: Moment) -> str:
    return "" if moment.organic else ' <span class="inorganic">inorganic</span>'


def _anchor(moment: Moment) -> str:
    return escape(f"m-{moment.moment_id}")


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
