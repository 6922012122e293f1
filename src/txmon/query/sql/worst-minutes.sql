-- The twenty minutes with the most failed, reversed and denied against their usual share of the hour before
WITH counted AS (
    SELECT minute, total, failed, reversed + backend_reversed AS reversed, denied,
           failed + reversed + backend_reversed + denied AS problems
    FROM per_minute
), usual AS (
    SELECT *, total * median(problems / nullif(total, 0)) OVER hour_before AS usual, count(*) OVER hour_before AS known
    FROM counted
    WINDOW hour_before AS (ORDER BY minute ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING)
)
SELECT minute, total, failed, reversed, denied, problems, round(usual, 1) AS usual,
       round((problems - usual) / sqrt(usual * (1 + 0.04 * usual) + 1), 1) AS sigmas
FROM usual
WHERE known >= 30 AND total >= 20
ORDER BY sigmas DESC, minute
LIMIT 20;
