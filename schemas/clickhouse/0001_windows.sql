-- Exact windows, as detect sent them. Read them through the views of 0003: a plain SELECT may see a row and its correction.
--
-- Writing a row twice is harmless: the sort key is the row's identity and of two rows with one key the higher version
-- is the truth, whatever order they came in. The sort key starts with the day, so that both a question about one term and a question
-- about one evening read few granules; the day and the partition follow from window_start, so copies of a row always meet in a merge.
--
-- Retention counts from the time of insertion, not from the window's: a replayed archive of 2013 is kept as long as today's
-- windows. A replay sends a key's versions in order and ends with the newest, so the newest version never expires before an
-- older copy; a replay only keeps its windows for another 90 days. To keep longer: ALTER TABLE windows MODIFY TTL ...

CREATE TABLE IF NOT EXISTS windows
(
    term String CODEC(ZSTD(1)),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    part LowCardinality(String),            -- plain: the window itself; with '/': a correction to be added to it
    version UInt64 CODEC(Delta, ZSTD(1)),
    events Int64 CODEC(T64, ZSTD(1)),       -- signed, as a correction may subtract
    originals Int64 CODEC(T64, ZSTD(1)),
    replies Int64 CODEC(T64, ZSTD(1)),
    reposts Int64 CODEC(T64, ZSTD(1)),
    unknown_authors Int64 CODEC(T64, ZSTD(1)),
    sentiment_events Int64 CODEC(T64, ZSTD(1)),
    sentiment_milli Int64 CODEC(T64, ZSTD(1)),
    reach Int64 CODEC(T64, ZSTD(1)),
    authors Array(UInt64) CODEC(ZSTD(1)),   -- the 64 smallest author hashes; merges by union
    inserted_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta, ZSTD(1)),
    INDEX by_time window_start TYPE minmax  -- the days of a minute's or an hour's condition, which the sort key does not see
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toDate(window_start), term, window_start, part)
TTL inserted_at + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS window_facets
(
    term String CODEC(ZSTD(1)),
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    facet LowCardinality(String),           -- lang:en, platform:bluesky, community:r/python
    part LowCardinality(String),
    version UInt64 CODEC(Delta, ZSTD(1)),
    events Int64 CODEC(T64, ZSTD(1)),
    inserted_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta, ZSTD(1)),
    INDEX by_time window_start TYPE minmax  -- the days of a minute's or an hour's condition, which the sort key does not see
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (toDate(window_start), term, window_start, facet, part)
TTL inserted_at + INTERVAL 90 DAY;

CREATE TABLE IF NOT EXISTS window_totals
(
    window_start DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    part LowCardinality(String),
    version UInt64 CODEC(Delta, ZSTD(1)),
    left_out_terms Int64 CODEC(T64, ZSTD(1)),
    left_out_events Int64 CODEC(T64, ZSTD(1)),
    inserted_at DateTime('UTC') DEFAULT now('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(window_start)
ORDER BY (window_start, part)
TTL inserted_at + INTERVAL 90 DAY;
