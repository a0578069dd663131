"""The contracts of the outer edge as JSON Schema (draft 2020-12): what producers write, what a watchlist holds, what alerts say.

Made from the records themselves; a field is described by the comment or docstring that stands beside it in the code.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from typing import Any

import msgspec

from schemas import watchlist
from schemas.canonical import CanonicalEvent
from schemas.fields import MAX_ID_CHARS, MAX_TIME_MS
from schemas.moments import CLOUDEVENT_TYPES, Moment, Sample, Word
from schemas.watchlist import Brand

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID_FIELDS = ("id", "post_id", "author", "reply_to", "repost_of", "repost_of_author", "quote_of", "target_id")
_EXAMPLE = {
    "id": "at://did:plc:ann/app.bsky.feed.post/3k",
    "platform": "bluesky",
    "author": "did:plc:ann",
    "created_at": "2026-07-04T14:38:06.240Z",
    "text": "Queue at the #acme counter goes around the block",
    "lang": "en",
}


def event_schema() -> Schema:
    """A record of the raw topic, as `schemas.events.decode_event` reads it."""
    schema = _record_schema("event", CanonicalEvent)
    fields = schema["properties"]
    for name in _ID_FIELDS:
        fields[name]["anyOf"][0] = {
            "type": "string",
            "maxLength": MAX_ID_CHARS,
            "not": {"pattern": "[\\u0000-\\u001f\\u007f-\\u009f]"},
        }
    fields["created_ms"]["anyOf"][0] |= {"minimum": 0, "exclusiveMaximum": MAX_TIME_MS}
    named = [
        {"required": [name], "properties": {name: {"type": ["string", "integer"], "minLength": 1}}} for name in ("id", "post_id")
    ]
    return {**schema, "anyOf": named, "examples": [_EXAMPLE]}


def brand_schema() -> Schema:
    """A record of the watchlist topic, and an entry of a watchlist file."""
    schema = _record_schema("brand", Brand)
    schema["properties"]["id"]["pattern"] = f"^{watchlist._ID.pattern}$"
    return {
        **schema,
        "examples": [{"id": "acme", "aliases": ["Acme", "Acme Corp"], "exclude": ["Acme, WA"], "sensitivity": "high"}],
    }


def moment_schema() -> Schema:
    """A record of the moments topic: a CloudEvent in structured mode with the moment as its data."""
    fields: dict[str, Schema] = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "moment id/sequence: one body for each"},
        "source": {"type": "string", "description": "who says so, /drumbeat/curate"},
        "type": {
            "enum": sorted(CLOUDEVENT_TYPES.values()),
            "description": "inorganic: flooding by few accounts or copies, no moment",
        },
        "subject": {"type": "string", "description": "the lead term, kind:value"},
        "time": {"type": "string", "format": "date-time", "description": "updated_ms of the moment"},
        "datacontenttype": {"const": "application/json"},
        "data": {"$ref": "#/$defs/Moment"},
    }
    records = {record.__name__: _described(record) for record in (Moment, Sample, Word)}
    head = _head("moment", "A moment as alerted: one CloudEvents 1.0 message per (moment id, sequence).")
    return {**head, "title": "MomentEvent", "type": "object", "properties": fields, "required": list(fields), "$defs": records}


def _record_schema(name: str, record: type[msgspec.Struct]) -> Schema:
    schema = _described(record)
    return {**_head(name, schema.pop("description")), **schema}


def _head(name: str, description: str) -> Schema:
    return {"$schema": _DIALECT, "$id": f"urn:drumbeat:contract:{name}", "description": description}


def _described(record: type[msgspec.Struct]) -> Schema:
    """The record's own schema with its documentation, as msgspec reads the types."""
    _, components = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    schema: Schema = components[record.__name__]
    schema["description"] = inspect.cleandoc(record.__doc__ or "")
    for name, text in field_docs(record).items():
        schema["properties"][name]["description"] = text
    return schema


def field_docs(record: type) -> dict[str, str]:
    """What the code says beside each field: the string under it, else the comment at the end of its line."""
    source = inspect.getsource(record)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    docs: dict[str, str] = {}
    for node, below in zip(definition.body, [*definition.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = ast.get_docstring(ast.Module([below], [])) if isinstance(below, ast.Expr) else comments.get(node.end_lineno or 0)
            docs |= {node.target.id: text} if text else {}
    return docs
