"""What was planted beside what was found: the verdict of a demo, as JSON and in words. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.demo_recount import Comparison, Recount
from agents.feed_plan import ROOM_MS, Plan, Planted
from schemas.moments import Moment

# A moment belongs to what was planted if it opened while that lasted or soon after (the last windows still hold it).
EARLY_MS, LATE_MS = 2_000, 60_000
_OWN = ("brand:", "hashtag:", "domain:", "mention:")


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first word on a moment, and when it was on the topic."""

    arrived_ms: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class Matched:
    """Planted surges and the moments that belong to them."""

    found: dict[Planted, list[Sighting]]  # earliest first; only those of the planted kind (organic or not)
    false: list[Sighting]  # belong to nothing, or are taken for the other kind


@dataclass(slots=True)
class Outcome:
    """Everything a report is made of."""

    plan: Plan
    sightings: list[Sighting]
    seconds: float
    seed: int
    duplicates: int | None = None  # as the pipeline counted them; None: nobody could be asked
    dead_letters: Counter[str] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)
    recount: Recount | None = None
    comparison: Comparison | None = None
    fed_until_ms: int | None = None  # what was planted shortly before need not be found; None: nothing was cut off
    drained: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def match(planted: Sequence[Planted], sightings: Sequence[Sighting]) -> Matched:
    """Each moment goes to the planted surge it shares most with; its kind must be right too."""
    found: dict[Planted, list[Sighting]] = {plan: [] for plan in planted}
    false: list[Sighting] = []
    for sighting in sorted(sightings, key=lambda one: one.arrived_ms):
        best = max(planted, key=lambda plan: _shared(plan, sighting.moment), default=None)
        if best is None or not _shared(best, sighting.moment) or best.organic != sighting.moment.organic:
            false.append(sighting)
        else:
            found[best].append(sighting)
    return Matched(found, false)


def build_report(outcome: Outcome) -> dict[str, Any]:
    """The report; `ok` says whether all is as planted."""
    plan, matched = outcome.plan, match(outcome.plan.planted, outcome.sightings)
    due = [one for one in plan.planted if matched.found[one] or _had_room(one, outcome.fed_until_ms)]
    organic = [one for one in due if one.organic]
    floods = [one for one in due if not one.organic]
    delays = sorted(seen[0].arrived_ms - one.start_ms for one, seen in matched.found.items() if seen and one.organic)
    missed = [one for one in due if not matched.found[one]]
    comparison = outcome.comparison
    report: dict[str, Any] = {
        "planted": len(organic),
        "detected": sum(bool(matched.found[one]) for one in organic),
        "missed": sum(one.organic for one in missed),
        "false": len(matched.false),
        "inorganic_planted": len(floods),
        "inorganic_reported": sum(bool(matched.found[one]) for one in floods),
        "split": sum(len(seen) - 1 for seen in matched.found.values() if seen),  # one surge told as several moments
        "detection_delay_ms": {"p50": percentile(delays, 50), "p99": percentile(delays, 99), "each": delays},
        "events": plan.records,
        "duplicates": {"planted": plan.duplicates, "counted": outcome.duplicates},
        "dead_letters": {"planted": dict(sorted(plan.dead_letters.items())), "counted": dict(sorted(outcome.dead_letters.items()))},
        "rows_stored": sum(outcome.rows.values()),
        "rows_by_table": outcome.rows,
        "cells_compared": comparison.compared if comparison else 0,
        "cells_different": comparison.different if comparison else None,
        "events_left_out": comparison.left_out_events if comparison else 0,  # of rare terms; compared too
        "recount_equal": comparison is not None and comparison.compared > 0 and comparison.different == 0,
        "records_recounted": outcome.recount.records if outcome.recount else 0,
        "drained": outcome.drained,
        "seconds": round(outcome.seconds, 1),
        "seed": outcome.seed,
        "versions": outcome.versions,
        "details": {
            "moments": [_planted_json(one, matched.found[one]) for one in due],
            "false": [_sighting_json(one) for one in matched.false],
            "different": comparison.examples if comparison else [],
        },
        "problems": outcome.problems,
    }
    report["failures"] = _failures(report, missed)
    report["ok"] = not report["failures"]
    return report


def _failures(report: dict[str, Any], missed: Sequence[Planted]) -> list[str]:
    duplicates, dead = report["duplicates"], report["dead_letters"]
    checks = {
        f"missed: {', '.join(one.name for one in missed)}": not missed,
        f"{report['false']} moments that nobody planted": report["false"] == 0,
        "not everything was processed in time": report["drained"],
        f"duplicates: {duplicates['planted']} planted, {duplicates['counted']} counted": duplicates["planted"]
        == duplicates["counted"],
        "dead letters are not as planted": dead["planted"] == dead["counted"],
        f"{report['cells_different']} stored counts differ from the recount": report["recount_equal"],
        f"{report['events']} records sent, {report['records_recounted']} on the topic": report["events"]
        == report["records_recounted"],
    }
    failed = [what for what, good in checks.items() if not good]
    return failed + [str(problem) for problem in report["problems"]]


def summary(report: dict[str, Any]) -> str:
    """The report for people: a few aligned lines, the verdict last."""
    delay, dead = report["detection_delay_ms"], report["dead_letters"]
    delays = f"after {_seconds(delay['p50'])} (median), {_seconds(delay['p99'])} (slowest)" if delay["each"] else ""
    lines = [
        ("moments", f"{report['detected']} of {report['planted']} planted found {delays}".rstrip()),
        ("false", str(report["false"])),
        ("floods", f"{report['inorganic_reported']} of {report['inorganic_planted']} reported as inorganic"),
        ("events", f"{report['events']:,} in {report['seconds']:.0f} s of live feed and the history before it"),
        ("duplicates", f"{report['duplicates']['planted']:,} planted, {_number(report['duplicates']['counted'])} counted"),
        ("dead letters", f"{sum(dead['planted'].values()):,} planted, {sum(dead['counted'].values()):,} counted"),
        ("stored", f"{report['rows_stored']:,} rows"),
        ("recount", f"{report['cells_compared']:,} counts compared, {_number(report['cells_different'])} different"),
    ]
    missed = [entry["name"] for entry in report["details"]["moments"] if not entry["moments"]]
    notes = [f"  false: {one['why']}" for one in report["details"]["false"]] + [f"  missed: {name}" for name in missed]
    verdict = (
        "everything as planted"
        if report["ok"]
        else "\n".join(["NOT as planted:", *(f"  {failure}" for failure in report["failures"])])
    )
    return "\n".join([*(f"  {name:<13} {text}" for name, text in lines), *notes, "", verdict])


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """Nearest rank; None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _had_room(planted: Planted, fed_until_ms: int | None) -> bool:
    return fed_until_ms is None or planted.start_ms + ROOM_MS <= fed_until_ms


def _shared(planted: Planted, moment: Moment) -> int:
    """How much they have in common; 0 if too little or at another time."""
    if not planted.start_ms - EARLY_MS <= moment.opened_ms <= planted.end_ms + LATE_MS:
        return 0
    terms = {moment.lead_term, *moment.terms}
    own = sum(term.startswith(_OWN) for term in terms.intersection(planted.terms))
    words = len(terms.intersection(planted.terms)) - own
    return 10 * own + words if own or words >= 2 or moment.lead_term in planted.terms else 0


def _planted_json(planted: Planted, seen: Sequence[Sighting]) -> dict[str, Any]:
    return {
        "name": planted.name,
        "lead": planted.lead,
        "organic": planted.organic,
        "start_ms": planted.start_ms,
        "moments": [{**_sighting_json(one), "delay_ms": one.arrived_ms - planted.start_ms} for one in seen],
    }


def _sighting_json(sighting: Sighting) -> dict[str, Any]:
    moment = sighting.moment
    names = ("moment_id", "lead_term", "organic", "severity", "opened_ms", "observed", "expected", "why")
    return {**{name: getattr(moment, name) for name in names}, "terms": list(moment.terms[:12]), "arrived_ms": sighting.arrived_ms}


def _seconds(ms: int | None) -> str:
    return "–" if ms is None else f"{ms / 1000:.1f} s"


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"
