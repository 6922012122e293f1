-- Checkouts: each hour of today against the other columns, oddest first (z of a Poisson count, dispersion not considered)
SELECT file, hour, today, avg_last_week, avg_last_month, yesterday, same_day_last_week,
       round((today - avg_last_week) / sqrt(avg_last_week + 1), 1) AS z
FROM checkouts
ORDER BY abs(z) DESC, file, hour
LIMIT 24;
