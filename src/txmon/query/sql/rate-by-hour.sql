-- How much of each hour's volume was approved, denied, failed and reversed, in per cent
SELECT hour, total,
       round(100 * approved / nullif(total, 0), 1) AS approved_pct,
       round(100 * denied / nullif(total, 0), 1) AS denied_pct,
       round(100 * failed / nullif(total, 0), 2) AS failed_pct,
       round(100 * (reversed + backend_reversed) / nullif(total, 0), 2) AS reversed_pct
FROM per_hour
ORDER BY hour;
