-- Minutes above the normal of the hour before them: over median + 6 x 1.4826 MAD, floored at a Poisson's spread
WITH minutes AS (
    SELECT m.minute, s.status, coalesce(sum(t.count), 0) AS seen
    FROM per_minute m
    CROSS JOIN (SELECT DISTINCT status FROM transactions WHERE status IN ('failed', 'denied', 'reversed', 'backend_reversed')) s
    LEFT JOIN transactions t ON t.status = s.status AND date_trunc('minute', t.time) = m.minute
    GROUP BY ALL
), normal AS (
    SELECT *,
           median(seen) OVER hour_before AS usual,
           mad(seen) OVER hour_before AS spread,
           count(*) OVER hour_before AS known
    FROM minutes
    WINDOW hour_before AS (PARTITION BY status ORDER BY minute ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING)
)
SELECT minute, status, seen, usual, round((seen - usual) / greatest(1.4826 * spread, sqrt(usual + 1)), 1) AS score
FROM normal
WHERE known >= 30 AND seen >= 3 AND seen > usual + 6 * greatest(1.4826 * spread, sqrt(usual + 1))
ORDER BY minute, status;
