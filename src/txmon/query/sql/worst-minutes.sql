-- The twenty minutes with the largest share of failed, reversed and denied
SELECT minute, total, failed, reversed + backend_reversed AS reversed, denied,
       round((failed + reversed + backend_reversed + denied) / total, 3) AS problem_share
FROM per_minute
WHERE total >= 20
ORDER BY problem_share DESC, minute
LIMIT 20;
