"""Authors leave ingest only as keyed hashes: same author and key, same number, and nobody without the key can tell who it is.

Both hashes are standards and stay the same across versions of libraries and across machines.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

MIN_KEY_BYTES = 8


def hash_authors(platform: pl.Series, author: pl.Series, key: bytes) -> pl.Series:
    """BLAKE2b-64 of platform and author under `key` as UInt64; null where the author is unknown (empty or null).

    Platform and author are joined by a zero byte, in UTF-8; the digest is read little-endian. A key over 64 bytes counts as its
    BLAKE2b-512 digest.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"author key has {len(key)} bytes: use {MIN_KEY_BYTES} or more")
    keyed = blake2b(key=key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest(), digest_size=8)
    frame = pl.DataFrame({"platform": platform, "author": author}, schema={"platform": pl.String, "author": pl.String})
    named = pl.when(pl.col("author") != "").then(pl.concat_str("platform", "author", separator="\0")).cast(pl.Binary)
    names: list[bytes | None] = frame.select(named).to_series().to_list()
    distinct = dict.fromkeys(name for name in names if name is not None)
    digests = np.frombuffer(b"".join([_digest(keyed, name) for name in distinct]), dtype="<u8")
    hashes = dict(zip(distinct, digests.tolist(), strict=True))
    return pl.Series("author_hash", [None if name is None else hashes[name] for name in names], dtype=pl.UInt64)


def hash_ids(ids: Iterable[tuple[str, str]]) -> npt.NDArray[np.uint64]:
    """XXH3-64 of each (platform, id), joined by a zero byte, in UTF-8; not secret, well spread.

    No platform's name holds a control character (schemas.fields), so two that differ are never joined to the same text.
    """
    return np.array([xxhash.xxh3_64_intdigest(f"{platform}\0{own}".encode()) for platform, own in ids], dtype=np.uint64)


def _digest(keyed: blake2b, name: bytes) -> bytes:
    state = keyed.copy()
    state.update(name)
    return state.digest()
