-- Transactions a minute, a column a status
SELECT * FROM per_minute ORDER BY minute;
