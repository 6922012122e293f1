-- Checkouts: each hour of today against the other columns at today's own pace, oddest first; finding: 3 sigmas or more
WITH usual AS (
    SELECT file, hour, today, yesterday, same_day_last_week, avg_last_week, avg_last_month,
           (7 * avg_last_week + 28 * avg_last_month) / 35 AS usual
    FROM checkouts
), paced AS (
    SELECT *, usual * median(today / usual) FILTER (WHERE usual >= 5) OVER (PARTITION BY file) AS expected
    FROM usual
), judged AS (
    SELECT *, (today - expected) / sqrt(expected * (1 + 0.04 * expected)) AS sigmas  -- hours scatter by 20 % beyond chance
    FROM paced
)
SELECT file, hour, today, round(expected, 1) AS expected, round(sigmas, 1) AS sigmas,
       CASE WHEN sigmas <= -3 THEN 'low' WHEN sigmas >= 3 THEN 'high' ELSE '' END AS finding,
       yesterday, same_day_last_week, avg_last_week, avg_last_month
FROM judged
ORDER BY abs(judged.sigmas) DESC NULLS LAST, file, hour
LIMIT 24;
