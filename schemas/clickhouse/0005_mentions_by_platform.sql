-- A post is known by its platform and its id there: post 1 of Mastodon is not post 1 of X, and goes only if it is deleted itself.
-- The sort key of a table cannot be changed, so its rows move to another one; until the last statement but one, readers see the old.
--
-- Every statement may run twice, and a move that broke off begins again: what is copied twice is one row, and nothing is dropped
-- that was not copied. The space of a second copy is needed for the time. Workers must be stopped: what one stores meanwhile is lost.

-- One row per post. A delete is a row with the highest version there is and nothing but the post's platform and id: it replaces
-- the post whether it comes before, after, or before a replay of it. There is no partition by time, because a delete does not know
-- the post's, and rows only meet within a partition. FINAL does not show deleted rows, a merge drops the post's text and keeps the
-- tombstone, which never expires: who replays a topic that is kept for ever must not bring the post back. (Never run
-- OPTIMIZE ... CLEANUP here.) Merges of parts older than a day are forced, so that text is gone from disk a day or two after its delete.
CREATE TABLE IF NOT EXISTS mentions_by_platform
(
    platform LowCardinality(String),
    post_id String CODEC(ZSTD(1)),
    version UInt64,
    deleted UInt8,
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String),
    brands Array(LowCardinality(String)),
    text String CODEC(ZSTD(3)),
    lang LowCardinality(String),
    author_hash Nullable(UInt64),           -- keyed hash; NULL: unknown
    followers Nullable(Int64),
    sentiment_milli Nullable(Int32),        -- -1000..1000; NULL: language not supported
    url String CODEC(ZSTD(1)),
    community LowCardinality(String),
    terms Array(String) CODEC(ZSTD(1)),
    inserted_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (platform, post_id)
TTL inserted_at + INTERVAL 90 DAY DELETE WHERE deleted = 0
SETTINGS min_age_to_force_merge_seconds = 86400;

-- Tombstones did not say of which platform: they stay for all there are, because a post that was deleted must not come back.
INSERT INTO mentions_by_platform
    (platform, post_id, version, deleted, event_time, kind, brands, text, lang, author_hash, followers, sentiment_milli, url, community,
    terms, inserted_at)
WITH (
    SELECT arrayDistinct(arrayConcat(['bluesky', 'mastodon', 'reddit', 'x', 'unknown'], groupUniqArray(toString(platform))))
    FROM mentions
    WHERE platform != ''
) AS platforms
SELECT
    arrayJoin(if(deleted = 1 AND platform = '', platforms, [toString(platform)])),
    post_id, version, deleted, event_time, kind, brands, text, lang, author_hash, followers, sentiment_milli, url, community,
    terms, inserted_at
FROM mentions;

DROP TABLE IF EXISTS mentions_by_post_id;

RENAME TABLE mentions TO mentions_by_post_id, mentions_by_platform TO mentions;

DROP TABLE IF EXISTS mentions_by_post_id;
