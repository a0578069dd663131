-- Posts that name a tracked brand, moments, and dead letters. Writing a row twice is harmless in each of them.

-- One row per post. A delete is a row with the highest version there is and nothing but the post's id: it replaces the post
-- whether it comes before, after, or before a replay of it. There is no partition by time, because a delete does not know the
-- post's, and rows only meet within a partition. FINAL does not show deleted rows, a merge drops the post's text and keeps the
-- tombstone, which never expires: who replays a topic that is kept for ever must not bring the post back. (Never run
-- OPTIMIZE ... CLEANUP here.) Merges of parts older than a day are forced, so that text is gone from disk a day or two after its delete.
CREATE TABLE IF NOT EXISTS mentions
(
    post_id String CODEC(ZSTD(1)),
    version UInt64,
    deleted UInt8,
    event_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    platform LowCardinality(String),
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
ORDER BY post_id
TTL inserted_at + INTERVAL 90 DAY DELETE WHERE deleted = 0
SETTINGS min_age_to_force_merge_seconds = 86400;

-- Every alert ever sent, by (moment id, sequence): one body each. `event` is the CloudEvent as it was on the topic.
CREATE TABLE IF NOT EXISTS moments
(
    moment_id String CODEC(ZSTD(1)),
    sequence UInt32,
    status LowCardinality(String),
    organic Bool,
    lead_term String,
    terms Array(String),
    brands Array(LowCardinality(String)),
    severity UInt8,
    score Float64,
    reasons Array(LowCardinality(String)),
    opened DateTime64(3, 'UTC'),
    since DateTime64(3, 'UTC'),
    updated DateTime64(3, 'UTC'),
    closed Nullable(DateTime64(3, 'UTC')),
    lead_time_ms Int64,
    scale_ms Int64,
    observed Int64,
    expected Float64,
    peak Int64,
    events Int64,
    authors Int64,
    unknown_authors Int64,
    organic_share Float64,
    sentiment Nullable(Float64),
    sentiment_shift Nullable(Float64),
    originals Int64,
    replies Int64,
    reposts Int64,
    reach Int64,
    words Array(String),
    why String CODEC(ZSTD(1)),
    event String CODEC(ZSTD(3)),
    inserted_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (moment_id, sequence)
TTL inserted_at + INTERVAL 1 YEAR;

-- What could not be decoded, by origin; the first bytes only, the topic has the rest.
CREATE TABLE IF NOT EXISTS dead_letters
(
    source_topic LowCardinality(String),
    source_partition Int32,
    source_offset Int64 CODEC(Delta, ZSTD(1)),
    log_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    payload_bytes Int64,
    payload_head String CODEC(ZSTD(1)),     -- of the first 1,000 bytes, what is not UTF-8 replaced
    inserted_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (source_topic, source_partition, source_offset)
TTL inserted_at + INTERVAL 14 DAY;
