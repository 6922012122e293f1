-- Minutes with too few transactions: under median - 6 x 1.4826 MAD of the hour before, floored at a Poisson's spread
WITH normal AS (
    SELECT minute, total, approved,
           median(total) OVER hour_before AS usual,
           mad(total) OVER hour_before AS spread,
           count(*) OVER hour_before AS known
    FROM per_minute
    WINDOW hour_before AS (ORDER BY minute ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING)
)
SELECT minute, total, approved, usual, round((total - usual) / greatest(1.4826 * spread, sqrt(usual + 1)), 1) AS score
FROM normal
WHERE known >= 30 AND usual >= 10
  AND (total < usual - 6 * greatest(1.4826 * spread, sqrt(usual + 1)) OR total = 0)
ORDER BY minute;
