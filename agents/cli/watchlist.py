"""`drumbeat watchlist`: what the team listens for, changed while the worker runs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from agents.cli import exits
from agents.cli.output import remark, say, table
from agents.cli.parser import Commands, add_actions, add_command
from agents.settings import Settings
from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, decode_brand, encode_brand

LISTS = {
    "aliases": ("--alias", "a name it goes by, whole words in any case"),
    "handles": ("--handle", "an account, without @"),
    "hashtags": ("--hashtag", "without #"),
    "exclude": ("--exclude", "a word that says it is something else"),
    "context": ("--context", "for an ambiguous alias: one of these must be there too"),
}

SINGLE = ("name", "sensitivity", "muted", "quiet_hours", "timezone")


def add(commands: Commands) -> None:
    example = 'drumbeat watchlist put explosion "#boston" @acme'
    actions = add_actions(add_command(commands, "watchlist", "put, list and remove what is listened for", example=example))
    _add_put(actions)
    show = add_command(actions, "list", "show the watchlist", example="drumbeat watchlist list --json", run=run_list)
    show.add_argument("--json", action="store_true", help="one brand a line, as `put --file` takes it")
    remove = add_command(actions, "remove", "stop listening for a brand", example="drumbeat watchlist remove acme", run=run_remove)
    remove.add_argument("ids", nargs="+", metavar="ID")


def _add_put(actions: Commands) -> None:
    put = add_command(
        actions,
        "put",
        "listen for a brand; one of the same id is replaced",
        example='drumbeat watchlist put acme --name "Acme Inc." --alias acme --handle acme --exclude roadrunner\n'
        '  drumbeat watchlist put explosion "#boston" @acme "two words"\n'
        "  drumbeat watchlist put --file watchlist.json",
        run=run_put,
    )
    put.add_argument("ids", nargs="*", metavar="ID", help="an id, #hashtag, @handle or phrase; several if no option follows")
    put.add_argument("--file", type=Path, help="a JSON array of brands, one brand a line, or plain words, one a line")
    put.add_argument("--name", help="for people")
    for field, (option, about) in LISTS.items():
        put.add_argument(option, action="append", dest=field, metavar="WORD", help=f"{about}; may be repeated")
    put.add_argument("--sensitivity", choices=("low", "medium", "high"), help="how soon a rise is a moment (default medium)")
    put.add_argument("--quiet-hours", metavar="HH:MM-HH:MM", help="alert only what is grave meanwhile, the rest after: 22:00-07:00")
    put.add_argument("--timezone", metavar="ZONE", help="of the quiet hours: Europe/Berlin (default UTC)")
    put.add_argument("--muted", action="store_true", default=None, help="count and store, never alert")


def run_put(args: argparse.Namespace, settings: Settings) -> int:
    from agents.watchlist import read_watchlist, write_watchlist

    brands = brands_of(args)

    async def put() -> dict[str, Brand]:
        before = await read_watchlist(settings)
        await write_watchlist(settings, {brand.id: brand for brand in brands})
        return before

    before = asyncio.run(put())
    for brand in brands:
        say(f"{_change(before.get(brand.id), brand)} {brand.id}: {in_words(brand)}")
    return exits.OK


def run_list(args: argparse.Namespace, settings: Settings) -> int:
    from agents.watchlist import read_watchlist

    brands = sorted(asyncio.run(read_watchlist(settings)).values(), key=lambda brand: brand.id)
    if args.json:
        for brand in brands:
            say(encode_brand(brand).decode())
    elif brands:
        say(table(("id", "listens for"), [(brand.id, in_words(brand)) for brand in brands]))
    else:
        remark("the watchlist is empty; drumbeat watchlist put ID adds a brand")
    return exits.OK


def run_remove(args: argparse.Namespace, settings: Settings) -> int:
    from agents.watchlist import brand_of, read_watchlist, write_watchlist

    async def remove() -> tuple[list[str], list[str]]:
        there = await read_watchlist(settings)
        ids = [name if name in there else brand_of(name).id for name in args.ids]
        await write_watchlist(settings, {i: None for i in ids if i in there})
        return [i for i in ids if i in there], [i for i in ids if i not in there]

    removed, unknown = asyncio.run(remove())
    for brand_id in removed:
        say(f"removed {brand_id}")
    for brand_id in unknown:
        remark(f"{brand_id}: not on the watchlist")
    return exits.NOT_SO if unknown else exits.OK


def brands_of(args: argparse.Namespace) -> tuple[Brand, ...]:
    """The brands that the arguments of `put` describe; raises ConfigurationError if they contradict each other."""
    from agents.watchlist import brand_of, distinct, parse_watchlist

    details = {name: getattr(args, name) for name in (*SINGLE, *LISTS) if getattr(args, name) is not None}
    if args.file is not None:
        if args.ids or details:
            raise ConfigurationError("watchlist put: --file has everything in it; give no ID and no other option")
        return parse_watchlist(read_file(args.file))
    if not args.ids:
        raise ConfigurationError("watchlist put: which brand? Give an ID or --file")
    if len(args.ids) > 1 and details:
        raise ConfigurationError(
            f'watchlist put: options describe one brand, got {len(args.ids)}; quote a phrase: "{" ".join(args.ids)}"'
        )
    brands = distinct(brand_of(words) for words in args.ids)
    return (_detailed(brands[0], details),) if details else brands


def read_file(path: Path) -> bytes:
    """The bytes of a file; raises ConfigurationError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def in_words(brand: Brand) -> str:
    """What a brand listens for."""
    names = [*brand.aliases, *(f"@{h}" for h in brand.handles), *(f"#{h}" for h in brand.hashtags)] or [brand.id]
    text = ", ".join(names)
    text += f"; not with {', '.join(brand.exclude)}" if brand.exclude else ""
    text += f"; only with {' or '.join(brand.context)}" if brand.context else ""
    text += f"; {brand.sensitivity} sensitivity" if brand.sensitivity != "medium" else ""
    text += f"; quiet {brand.quiet_hours} {brand.timezone}" if brand.quiet_hours else ""
    return text + ("; muted" if brand.muted else "")


def _detailed(brand: Brand, details: dict[str, Any]) -> Brand:
    lists = {name: (*getattr(brand, name), *_words(details.pop(name, ()))) for name in LISTS}
    changed = msgspec.structs.replace(brand, **details, **{name: tuple(dict.fromkeys(words)) for name, words in lists.items()})
    return decode_brand(encode_brand(changed))  # the rule for ids holds here too


def _words(given: Iterable[str]) -> list[str]:
    return [word.strip().lstrip("#@") for word in given]


def _change(before: Brand | None, now: Brand) -> str:
    return "put" if before is None else "kept" if before == now else "replaced"
