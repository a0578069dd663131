-- What people and dashboards read. Each view reads FINAL rows, so it is right at any moment between two merges; none is
-- materialised, so a replay cannot count twice.
--
-- Distinct authors come from the merged sketch of the 64 smallest hashes: exact below 64, else 63 / largest * 2^64 with a standard
-- error of 12.7 %. Events without an author are not in it (see unknown_authors).

-- The window of a term, all its parts added up. A correction whose window was never stored (the term was below the minimum
-- support when its window closed) is a fragment of an unknown whole: such windows are not shown. For all: and brand:, which are always
-- stored, a window that holds corrections only is whole, and shown.
CREATE OR REPLACE VIEW windows_10s AS
SELECT
    w.term AS term,
    w.window_start AS window_start,
    sum(w.events) AS events,
    sum(w.originals) AS originals,
    sum(w.replies) AS replies,
    sum(w.reposts) AS reposts,
    sum(w.unknown_authors) AS unknown_authors,
    sum(w.sentiment_events) AS sentiment_events,
    sum(w.sentiment_milli) AS sentiment_milli,
    sum(w.reach) AS reach,
    arraySlice(arraySort(groupUniqArrayArray(w.authors)), 1, 64) AS sketch,
    if(length(sketch) < 64, length(sketch), toUInt64(round(63 * 18446744073709551616. / greatest(sketch[64], 1)))) AS distinct_authors
FROM windows AS w FINAL
GROUP BY w.term, w.window_start
HAVING countIf(position(w.part, '/') = 0) > 0 OR startsWith(w.term, 'all:') OR startsWith(w.term, 'brand:');

-- Wider windows are sums of the stored ones: whole for all: and brand:, a lower bound for other terms (see left_out_1m). Lengths in
-- milliseconds keep DateTime64, through which a condition on window_start still reaches the indexes below.
CREATE OR REPLACE VIEW windows_1m AS
SELECT
    w.term AS term,
    toStartOfInterval(w.window_start, INTERVAL 60000 MILLISECOND) AS window_start,
    sum(w.events) AS events,
    sum(w.originals) AS originals,
    sum(w.replies) AS replies,
    sum(w.reposts) AS reposts,
    sum(w.unknown_authors) AS unknown_authors,
    sum(w.sentiment_events) AS sentiment_events,
    sum(w.sentiment_milli) AS sentiment_milli,
    sum(w.reach) AS reach,
    arraySlice(arraySort(groupUniqArrayArray(w.sketch)), 1, 64) AS sketch,
    if(length(sketch) < 64, length(sketch), toUInt64(round(63 * 18446744073709551616. / greatest(sketch[64], 1)))) AS distinct_authors
FROM windows_10s AS w
GROUP BY w.term, toStartOfInterval(w.window_start, INTERVAL 60000 MILLISECOND);

CREATE OR REPLACE VIEW windows_1h AS
SELECT
    w.term AS term,
    toStartOfInterval(w.window_start, INTERVAL 3600000 MILLISECOND) AS window_start,
    sum(w.events) AS events,
    sum(w.originals) AS originals,
    sum(w.replies) AS replies,
    sum(w.reposts) AS reposts,
    sum(w.unknown_authors) AS unknown_authors,
    sum(w.sentiment_events) AS sentiment_events,
    sum(w.sentiment_milli) AS sentiment_milli,
    sum(w.reach) AS reach,
    arraySlice(arraySort(groupUniqArrayArray(w.sketch)), 1, 64) AS sketch,
    if(length(sketch) < 64, length(sketch), toUInt64(round(63 * 18446744073709551616. / greatest(sketch[64], 1)))) AS distinct_authors
FROM windows_10s AS w
GROUP BY w.term, toStartOfInterval(w.window_start, INTERVAL 3600000 MILLISECOND);

CREATE OR REPLACE VIEW windows_1d AS
SELECT
    w.term AS term,
    toStartOfInterval(w.window_start, INTERVAL 86400000 MILLISECOND) AS window_start,
    sum(w.events) AS events,
    sum(w.originals) AS originals,
    sum(w.replies) AS replies,
    sum(w.reposts) AS reposts,
    sum(w.unknown_authors) AS unknown_authors,
    sum(w.sentiment_events) AS sentiment_events,
    sum(w.sentiment_milli) AS sentiment_milli,
    sum(w.reach) AS reach,
    arraySlice(arraySort(groupUniqArrayArray(w.sketch)), 1, 64) AS sketch,
    if(length(sketch) < 64, length(sketch), toUInt64(round(63 * 18446744073709551616. / greatest(sketch[64], 1)))) AS distinct_authors
FROM windows_10s AS w
GROUP BY w.term, toStartOfInterval(w.window_start, INTERVAL 86400000 MILLISECOND);

-- Break-down of all: and brand: terms by language, platform and community.
CREATE OR REPLACE VIEW facets_1m AS
SELECT
    f.term AS term,
    toStartOfInterval(f.window_start, INTERVAL 60000 MILLISECOND) AS window_start,
    f.facet AS facet,
    sum(f.events) AS events
FROM window_facets AS f FINAL
GROUP BY f.term, toStartOfInterval(f.window_start, INTERVAL 60000 MILLISECOND), f.facet;

-- What was counted but not stored, because its term was below the minimum support in that window.
CREATE OR REPLACE VIEW left_out_1m AS
SELECT
    toStartOfInterval(t.window_start, INTERVAL 60000 MILLISECOND) AS window_start,
    sum(t.left_out_terms) AS left_out_terms,
    sum(t.left_out_events) AS left_out_events
FROM window_totals AS t FINAL
GROUP BY toStartOfInterval(t.window_start, INTERVAL 60000 MILLISECOND);

-- Each brand's part of all events that name a tracked brand, by minute. A post that names two brands counts for both.
CREATE OR REPLACE VIEW share_of_voice AS
SELECT window_start, entry.1 AS brand, entry.2 AS events, brand_events, if(brand_events = 0, 0., entry.2 / brand_events) AS share
FROM
(
    SELECT w.window_start AS window_start, sum(w.events) AS brand_events, groupArray((substring(w.term, 7), w.events)) AS entries
    FROM windows_1m AS w
    WHERE startsWith(w.term, 'brand:')
    GROUP BY w.window_start
)
ARRAY JOIN entries AS entry;

CREATE OR REPLACE VIEW share_of_voice_1h AS
SELECT window_start, entry.1 AS brand, entry.2 AS events, brand_events, if(brand_events = 0, 0., entry.2 / brand_events) AS share
FROM
(
    SELECT w.window_start AS window_start, sum(w.events) AS brand_events, groupArray((substring(w.term, 7), w.events)) AS entries
    FROM windows_1h AS w
    WHERE startsWith(w.term, 'brand:')
    GROUP BY w.window_start
)
ARRAY JOIN entries AS entry;

-- Mean sentiment (-1..1) of a brand by minute, over the posts that have one.
CREATE OR REPLACE VIEW sentiment AS
SELECT
    w.window_start AS window_start,
    substring(w.term, 7) AS brand,
    w.sentiment_events AS events,
    w.sentiment_milli / w.sentiment_events / 1000 AS sentiment
FROM windows_1m AS w
WHERE startsWith(w.term, 'brand:') AND w.sentiment_events > 0;

-- top_terms(from_ms = ..., to_ms = ..., kind = 'hashtag'): the terms with most events in [from_ms, to_ms); kind '' is every kind.
CREATE OR REPLACE VIEW top_terms AS
SELECT
    w.term AS term,
    substring(w.term, position(w.term, ':') + 1) AS value,
    sum(w.events) AS events,
    arraySlice(arraySort(groupUniqArrayArray(w.sketch)), 1, 64) AS sketch,
    if(length(sketch) < 64, length(sketch), toUInt64(round(63 * 18446744073709551616. / greatest(sketch[64], 1)))) AS distinct_authors
FROM windows_10s AS w
WHERE w.window_start >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
    AND w.window_start < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
    AND ({kind:String} = '' OR startsWith(w.term, concat({kind:String}, ':')))
GROUP BY w.term
ORDER BY events DESC, term;

-- Terms of the newest ten minutes against the hour before, the most surprising first. "Newest" is the newest stored window, so
-- that a replayed evening has its own. Terms below the minimum support count as silent.
CREATE OR REPLACE VIEW emerging_terms AS
WITH (SELECT max(n.window_start) + INTERVAL 10 SECOND FROM windows AS n WHERE n.term = 'all:posts') AS until
SELECT
    w.term AS term,
    sumIf(w.events, w.window_start >= until - INTERVAL 10 MINUTE) AS recent_events,
    sumIf(w.events, w.window_start < until - INTERVAL 10 MINUTE) AS before_events,
    before_events / 6 AS expected,
    recent_events / (expected + 1) AS growth,
    (recent_events - expected) / sqrt(expected + 1) AS score
FROM windows_10s AS w
WHERE w.window_start >= until - INTERVAL 70 MINUTE AND w.window_start < until AND NOT startsWith(w.term, 'all:')
GROUP BY w.term
HAVING score > 0
ORDER BY score DESC, term;

-- The newest statement about each moment.
CREATE OR REPLACE VIEW moments_latest AS
SELECT
    moment_id, sequence, status, organic, lead_term, terms, brands, severity, score, reasons, opened, since, updated, closed,
    lead_time_ms, scale_ms, observed, expected, peak, events, authors, unknown_authors, organic_share, sentiment,
    sentiment_shift, originals, replies, reposts, reach, words, why, event
FROM moments FINAL
ORDER BY moment_id, sequence DESC
LIMIT 1 BY moment_id;

-- Posts that name a brand and were not deleted.
CREATE OR REPLACE VIEW mentions_live AS
SELECT
    post_id, event_time, platform, kind, brands, text, lang, author_hash, followers, sentiment_milli / 1000 AS sentiment, url,
    community, terms
FROM mentions FINAL
WHERE deleted = 0;
