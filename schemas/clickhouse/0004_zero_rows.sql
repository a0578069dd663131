-- A row that was stored while its events were in doubt, and is nothing after all, is stored again with zeros: a row of 0 is as
-- no row. Of 0003 this replaces the views that would show one, or take its window for the newest, or for one that was stored.

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
HAVING sum(w.events) != 0
    AND (countIf(position(w.part, '/') = 0 AND w.events != 0) > 0 OR startsWith(w.term, 'all:') OR startsWith(w.term, 'brand:'));

-- Break-down of all: and brand: terms by language, platform and community.
CREATE OR REPLACE VIEW facets_1m AS
SELECT
    f.term AS term,
    toStartOfInterval(f.window_start, INTERVAL 60000 MILLISECOND) AS window_start,
    f.facet AS facet,
    sum(f.events) AS events
FROM window_facets AS f FINAL
GROUP BY f.term, toStartOfInterval(f.window_start, INTERVAL 60000 MILLISECOND), f.facet
HAVING sum(f.events) != 0;

-- Terms of the newest ten minutes against the hour before, the most surprising first. "Newest" is the newest stored window, so
-- that a replayed evening has its own. Terms below the minimum support count as silent.
CREATE OR REPLACE VIEW emerging_terms AS
WITH (SELECT max(n.window_start) + INTERVAL 10 SECOND FROM windows AS n FINAL WHERE n.term = 'all:posts' AND n.events != 0) AS until
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
