"""`drumbeat replay`: recorded posts go through the running pipeline again."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence

from agents.cli import exits
from agents.cli.output import remark, say
from agents.cli.parser import Commands, add_command
from agents.cli.progress import Progress, describe, open_recordings
from agents.recordings import Recording
from agents.settings import PLATFORMS, RawTopic, Settings
from schemas.errors import ConfigurationError


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "replay",
        "send recorded posts to the raw topic, in time order, with their own times as record timestamps",
        example="drumbeat replay evening.ndjson.gz other.ndjson --speed 60",
        run=run,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="NDJSON, plain or gzip; - for stdin")
    parser.add_argument(
        "--speed", type=speed, default=1.0, metavar="X|max", help="X times as fast as it happened, or max (default 1)"
    )
    parser.add_argument("--platform", choices=PLATFORMS, help="shape of the lines (default: that of the topic)")
    parser.add_argument("--topic", help="one of the raw topics (default: the first of the platform)")
    parser.add_argument("--no-check", action="store_true", help="send even if the topic's retention would delete the posts")


def speed(text: str) -> float | None:
    """Event seconds per second; None for max."""
    if text == "max":
        return None
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, or max, got {text!r}")
    return value


def run(args: argparse.Namespace, settings: Settings) -> int:
    raw = raw_topic(settings, args.topic, args.platform)
    recordings = open_recordings(args.files, raw.platform)
    from agents.replay import Replay, ReplayParams

    replay = Replay(settings, recordings, ReplayParams(raw.topic, args.speed, not args.no_check))
    started_s = time.monotonic()
    try:
        with Progress(recordings) as progress:
            asyncio.run(replay.run(progress.update))
    except BaseException:  # Ctrl-C too
        if replay.sent:
            _summary(recordings, replay.sent, raw.topic, time.monotonic() - started_s)
        raise
    _summary(recordings, replay.sent, raw.topic, time.monotonic() - started_s)
    return exits.OK


def raw_topic(settings: Settings, topic: str | None, platform: str | None) -> RawTopic:
    """The raw topic that is meant and the shape of its records; raises ConfigurationError if the settings say otherwise."""
    known = settings.raw_topics
    fitting = [raw for raw in known if topic in (None, raw.topic) and platform in (None, raw.platform)]
    if fitting:
        return fitting[0]
    if topic is not None and all(raw.topic != topic for raw in known):
        return RawTopic(topic, platform or "canonical")
    there = ", ".join(f"{raw.topic}:{raw.platform}" for raw in known)
    wanted = f"{topic or settings.topics.name('raw.' + str(platform))}:{platform}"
    raise ConfigurationError(f"the worker reads {there}; for {platform} posts set DRUMBEAT_RAW={there},{wanted} (or convert them)")


def _summary(recordings: Sequence[Recording], sent: Mapping[str, int], topic: str, took_s: float) -> None:
    for recording in recordings:
        remark(f"{recording.name}: {describe(recording)}")
    total = sum(sent.values())
    say(f"{total:,} records sent to {topic} in {took_s:.1f} s ({total / max(took_s, 0.001):,.0f}/s)")
