"""HTTP bodies as ClickHouse takes and gives them: several frames in a row are one body, half a frame is an error."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import cramjam

from tests.clickhouse_statements import Refused

_UNDECODABLE = {
    "gzip": (354, "ZLIB_INFLATE_FAILED"),
    "deflate": (354, "ZLIB_INFLATE_FAILED"),
    "lz4": (618, "LZ4_DECODER_FAILED"),
    "zstd": (561, "ZSTD_DECODER_FAILED"),
    "br": (391, "BROTLI_READ_FAILED"),
}
_DECODERS: Mapping[str, Callable[[bytes], Any]] = {
    "gzip": cramjam.gzip.decompress,
    "lz4": cramjam.lz4.decompress,
    "zstd": cramjam.zstd.decompress,
    "br": cramjam.brotli.decompress,
    "deflate": zlib.decompress,
}
_ENCODERS: Mapping[str, Callable[[bytes], Any]] = {  # by what is taken first, if the client takes several
    "br": lambda data: cramjam.brotli.compress(data, 3),
    "zstd": lambda data: cramjam.zstd.compress(data, 1),
    "lz4": cramjam.lz4.compress,
    "gzip": lambda data: cramjam.gzip.compress(data, 3),
    "deflate": lambda data: zlib.compress(data, 3),
}


def decoded(body: bytes, encoding: str) -> bytes:
    """The body as it was before it was compressed; raises Refused with the code of the decoder."""
    if encoding == "identity" or not body:
        return body
    if encoding not in _DECODERS:
        raise Refused(48, f"Unknown compression method '{encoding}'. (NOT_IMPLEMENTED)")
    try:
        return bytes(_DECODERS[encoding](body))
    except (cramjam.DecompressionError, zlib.error) as error:
        code, name = _UNDECODABLE[encoding]
        raise Refused(code, f"{encoding}: {error}. ({name})") from None


def accepted(header: str) -> str | None:
    """The first of ours that a client accepts, by its Accept-Encoding."""
    offered = {one.partition(";")[0].strip() for one in header.lower().split(",")}
    return next((name for name in _ENCODERS if name in offered), None)


def encoded(body: bytes, encoding: str) -> bytes:
    """The body, compressed fast rather than well."""
    return bytes(_ENCODERS[encoding](body))
