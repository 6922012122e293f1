-- Incidents in the order in which they opened: how long, how bad, how many transactions against normal
SELECT id, arg_max(label, time) AS label, min(start) AS opened,
       max(time) FILTER (WHERE state = 'resolved') AS resolved,
       date_diff('minute', min(start), max(time)) AS minutes,
       arg_max(statuses, len(statuses)) AS statuses,
       max(observed) AS peak_seen, round(arg_max(excess, time)) AS against_normal
FROM incidents
GROUP BY id
ORDER BY opened, id;
