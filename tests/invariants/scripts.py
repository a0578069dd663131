"""Scripts: deployments to which one thing happens that plans seldom meet."""

from __future__ import annotations

from tests.invariants.deployment import Deployment
from tests.invariants.raw_log import Draft
from tests.invariants.setting import Setting

ONE = Setting(sources=1, partitions=1)
POSTS = [Draft("post", 0, 1)] * 5


def saved_while_idle() -> Deployment:
    """Detect dies behind a checkpoint of an open segment that was counted and stored because its source is idle."""
    deployment = Deployment.of(ONE)
    deployment.append(0, POSTS)
    deployment.flow()
    deployment.ingest[0][-1].tell(2_500)
    deployment.flow()
    deployment.detect[0][-1].save()
    deployment.detect[0][-1].deliver()
    deployment.replace_detect(0, survives=False)
    deployment.append(0, POSTS)
    deployment.finish()
    return deployment


def slept() -> Deployment:
    """A worker that wakes up calls its source idle of which its successor has read more."""
    deployment = Deployment.of(ONE)
    deployment.append(0, POSTS)
    deployment.flow()
    deployment.append(0, POSTS[:2])
    deployment.replace_ingest(0, survives=True)
    deployment.flow()
    sleeper, successor = deployment.ingest[0]
    for owner, idle_ms in ((successor, 0), (sleeper, 60_000)):
        owner.tell(idle_ms)
        owner.deliver()
    deployment.finish()
    return deployment
