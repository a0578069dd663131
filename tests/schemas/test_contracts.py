from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from agents import generate
from agents.contracts import brand_schema, event_schema, moment_schema
from schemas.canonical import CanonicalEvent
from schemas.errors import ConfigurationError, MalformedEvent
from schemas.events import Event, decode_event
from schemas.moments import Moment, Sample, Word, encode_moment
from schemas.watchlist import Brand, decode_brand, encode_brand

EVENT = Draft202012Validator(event_schema())
BRAND = Draft202012Validator(brand_schema())
MOMENT = Draft202012Validator(moment_schema())
RECORDED = Path("../shared/data/reddit_praw_cassettes.ndjson.gz")


def a_moment(**fields: Any) -> Moment:
    plain: dict[str, Any] = {
        field.name: {"int": 1, "float": 0.5, "str": "x", "bool": True}.get(
            str(field.type).removeprefix("<class '").removesuffix("'>")
        )
        for field in msgspec.structs.fields(Moment)
    }
    plain |= {"status": "opened", "terms": ("brand:acme",), "brands": ("acme",), "reasons": ("surge",), "closed_ms": None}
    plain |= {"platforms": {"x": 1}, "languages": {}, "communities": {}, "sentiment": None, "sentiment_shift": -0.5}
    plain |= {"words": (Word(text="fire", posts=3, score=1.5),), "samples": (Sample(text="a", platform="x"),)}
    return Moment(**{**plain, **fields})


def test_generated_files_are_up_to_date() -> None:
    assert list(generate.stale(generate.ROOT)) == []


def test_check_finds_what_is_stale_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"], tmp_path) == 1
    assert "event.schema.json: stale" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "schemas/contracts/event.schema.json").write_text("{}", encoding="utf-8")
    assert generate.main(["--check"], tmp_path) == 1


@pytest.mark.parametrize("validator", [EVENT, BRAND, MOMENT], ids=["event", "brand", "moment"])
def test_schemas_are_schemas_and_their_own_examples_hold(validator: Draft202012Validator) -> None:
    schema: Any = validator.schema
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith("urn:drumbeat:contract:")
    for example in schema.get("examples", []):
        validator.validate(example)


def test_every_field_of_an_event_is_described() -> None:
    schema: Any = EVENT.schema
    assert list(schema["properties"]) == [field.name for field in msgspec.structs.fields(CanonicalEvent)]
    assert [name for name, field in schema["properties"].items() if not field.get("description")] == []
    assert "UTC epoch ms" in schema["properties"]["created_ms"]["description"]


def test_comments_beside_the_fields_describe_brand_and_moment() -> None:
    brand: Any = BRAND.schema
    moment: Any = MOMENT.schema
    assert brand["properties"]["handles"]["description"] == "without '@'"
    assert moment["$defs"]["Moment"]["properties"]["severity"]["description"] == "1..10"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "1"},
        {"id": 2**70},
        {"post_id": "p", "kind": "delete", "id": None},
        {"id": "1", "created_at": "2013-04-15T18:49:00", "tags": ["a"], "author": None, "anything": {"else": 1}},
    ],
)
def test_what_the_contract_allows_the_decoder_takes(fields: dict[str, Any]) -> None:
    EVENT.validate(fields)
    assert isinstance(decode_event(json.dumps(fields).encode()), Event)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": 1.5},
        {"id": "a\n"},
        {"id": "x" * 513},
        {"id": "1", "kind": "like"},
        {"id": "1", "created_ms": -1},
        {"id": "1", "created_ms": "5"},
        {"id": "1", "tags": "a"},
        {"id": "1", "reply_to": "a\x00"},
        [],
    ],
)
def test_what_the_contract_forbids_the_decoder_refuses(fields: Any) -> None:
    assert not EVENT.is_valid(fields)
    with pytest.raises(MalformedEvent):
        decode_event(json.dumps(fields).encode())


def test_recorded_posts_keep_the_contract() -> None:
    if not RECORDED.exists():
        pytest.skip(f"recorded posts are not at {RECORDED}")
    with gzip.open(RECORDED) as lines:
        for line in list(lines)[::100]:
            EVENT.validate(json.loads(line))


def test_a_brand_as_written_keeps_the_contract_and_a_wrong_one_does_not() -> None:
    BRAND.validate(json.loads(encode_brand(Brand(id="acme", aliases=("Acme",), sensitivity="low"))))
    for wrong in ({}, {"id": "Acme!"}, {"id": "acme", "sensitivity": "huge"}, {"id": "acme", "alias": ["typo"]}):
        assert not BRAND.is_valid(wrong)
        with pytest.raises(ConfigurationError):
            decode_brand(json.dumps(wrong).encode())


@pytest.mark.parametrize(("organic", "status"), [(True, "opened"), (False, "closed")])
def test_an_alert_as_sent_keeps_the_contract(organic: bool, status: str) -> None:
    alert = json.loads(encode_moment(a_moment(organic=organic, status=status)))
    MOMENT.validate(alert)
    assert not MOMENT.is_valid({**alert, "specversion": "0.3"})
    del alert["data"]["why"]
    assert not MOMENT.is_valid(alert)
