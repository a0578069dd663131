"""Every error that drumbeat raises on purpose, in one tree.

DrumbeatError
├── MalformedEvent        the message: goes to the dead letters with its reason, the stream goes on
├── ConfigurationError    the deployment: one clear line, exit code 2
├── SinkUnavailable       the world: back off and retry, offsets stay (retriable)
├── BrokerUnavailable     the world: back off and retry (retriable)
├── BadDeploy             nearly every record fails: the deploy is wrong, not the data; stop
└── BrokenLog             us or a lossy log: a gap, a torn checkpoint; stop loudly with topic, partition, offset
"""

from __future__ import annotations


class DrumbeatError(Exception):
    """Base of all; `retriable` tells a retry loop what to do without naming types."""

    retriable = False


class MalformedEvent(DrumbeatError):
    """One record that cannot be decoded. `reason` is one of `schemas.events.REASONS`, `detail` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ConfigurationError(DrumbeatError):
    """The deployment is wrong; the message says what to change."""


class SinkUnavailable(DrumbeatError):
    """The sink did not take a batch; nothing may be committed, the same batch may be sent again."""

    retriable = True


class BrokerUnavailable(DrumbeatError):
    """The broker did not answer; try again later."""

    retriable = True


class BadDeploy(DrumbeatError):
    """Nearly all records of a source fail the same way; stopping beats emptying the topic into dead letters."""


class BrokenLog(DrumbeatError):
    """A log misses what it must hold; the message names topic, partition and offset."""
