"""Plans: what happens to a deployment, drawn by a seed. For the tests of the tests, which need many short ones; see machine.py."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.invariants.checks import covers_commits
from tests.invariants.deployment import Deployment
from tests.invariants.evidence import no_gap
from tests.invariants.owners import CurateOwner, DetectOwner
from tests.invariants.raw_log import SHAPES, Draft
from tests.invariants.setting import Setting

ADVANCES_MS = (0, 0, 50, 300, 900, 2_500, 6_000, 14_000)
_WEIGHTS = (6, 1, 1, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2)


def draft(rng: random.Random) -> Draft:
    """One thing that a producer does."""
    return Draft(rng.choices(SHAPES, _WEIGHTS)[0], rng.choice(ADVANCES_MS), rng.randrange(12))


def run_plan(seed: int, setting: Setting, steps: int = 40, *, idle: bool = True) -> Deployment:
    """A deployment after so many steps and its end; `idle`: whether owners may say so before the end."""
    rng, deployment = random.Random(seed), Deployment.of(setting)
    with no_gap():
        for _ in range(steps):
            rng.choice(_STEPS)(deployment, rng, idle)
            covers_commits(deployment)
        deployment.finish()
    return deployment


def _append(deployment: Deployment, rng: random.Random, _: bool) -> None:
    deployment.append(rng.randrange(deployment.setting.sources), [draft(rng) for _ in range(rng.randint(1, 8))])


def _ingest(deployment: Deployment, rng: random.Random, idle: bool) -> None:
    owner = rng.choice(rng.choice(deployment.ingest))
    owner.deliver(rng.randrange(6))
    owner.read(rng.randint(1, 9))
    owner.deliver(rng.randrange(6))
    if rng.random() < 0.2:
        owner.resend()
    if rng.random() < 0.5:
        owner.tell(rng.choice([0, 2_500, 60_000]) if idle else 0)


def _detect(deployment: Deployment, rng: random.Random, _: bool) -> None:
    owner = rng.choice(rng.choice(deployment.detect))
    if _work(owner, rng):
        deployment.replace_detect(owner.number, survives=rng.random() < 0.3)


def _curate(deployment: Deployment, rng: random.Random, _: bool) -> None:
    if _work(rng.choice(deployment.curate), rng):
        deployment.replace_curate(survives=rng.random() < 0.3)


def _work(owner: DetectOwner | CurateOwner, rng: random.Random) -> bool:
    """Some packets or candidates, perhaps a checkpoint; returns whether the owner is to be replaced in the middle of it."""
    owner.deliver(rng.randrange(4))
    owner.take(rng.randint(1, 6))
    owner.deliver(rng.randrange(4))
    if rng.random() < 0.6:
        return False
    owner.save()
    owner.deliver(rng.choice([0, 3, 10, 12, 10**6]))
    return rng.random() < 0.4


def _replace(deployment: Deployment, rng: random.Random, _: bool) -> None:
    survives, setting = rng.random() < 0.5, deployment.setting
    which = rng.randrange(4)
    if which < 2:
        deployment.replace_ingest(rng.randrange(setting.sources), survives=survives)
    elif which == 2:
        deployment.replace_detect(rng.randrange(setting.partitions), survives=survives)
    else:
        deployment.replace_curate(survives=survives)


def _store(deployment: Deployment, rng: random.Random, _: bool) -> None:
    deployment.insert(rng.randrange(deployment.setting.partitions), rng.randrange(4), rng.randint(1, 4))
    deployment.broker.checkpoints.compact(rng.randrange(40))


def _flow(deployment: Deployment, _: random.Random, __: bool) -> None:
    deployment.flow()


_STEPS: tuple[Callable[[Deployment, random.Random, bool], None], ...] = (
    *[_append] * 3,
    *[_ingest] * 4,
    *[_detect] * 2,
    _curate,
    *[_replace] * 2,
    _store,
    _flow,
)
