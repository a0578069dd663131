"""Authors leave ingest only as keyed hashes: same author and key, same number, and nobody without the key can tell who it is.

Both hashes are standards and stay the same across versions of libraries and across machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

MIN_KEY_BYTES = 8


def hash_authors(platforms: Sequence[str], authors: Sequence[str], key: bytes) -> pl.Series:
    """BLAKE2b-64 of each platform and author under `key` as UInt64; null where the author is unknown (empty).

    Platform and author are joined by a zero byte, in UTF-8; the digest is read little-endian. A key over 64 bytes counts as its
    BLAKE2b-512 digest.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"author key has {len(key)} bytes: use {MIN_KEY_BYTES} or more")
    keyed = blake2b(key=key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest(), digest_size=8)
    digests = []
    for platform, author in zip(platforms, authors, strict=True):
        state = keyed.copy()
        state.update(f"{platform}\0{author}".encode())
        digests.append(state.digest())
    hashes = pl.Series("author_hash", np.frombuffer(b"".join(digests), dtype="<u8"), dtype=pl.UInt64)
    return hashes if all(authors) else hashes.set(~pl.Series(map(bool, authors), dtype=pl.Boolean), None)


def hash_ids(platforms: Sequence[str], ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """XXH3-64 of each platform and id, joined by a zero byte, in UTF-8; not secret, well spread.

    No platform's name holds a control character (schemas.fields), so two that differ are never joined to the same text.
    """
    names = [f"{platform}\0{own}".encode() for platform, own in zip(platforms, ids, strict=True)]
    return np.fromiter(map(xxhash.xxh3_64_intdigest, names), dtype=np.uint64, count=len(names))
