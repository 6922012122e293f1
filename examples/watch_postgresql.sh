#!/bin/sh
# PostgreSQL and Alertmanager from Debian's packages: txmon watches a table, writes its verdicts to another, and an
# outage becomes an alert. Everything runs on this machine, in a temporary folder, and ends with the script.
# usage: watch_postgresql.sh [PORT]; takes PORT for PostgreSQL and PORT + 1 for Alertmanager; writes watch.log here
# needs: apt-get install postgresql prometheus-alertmanager; pip install 'txmon[sql]'
set -eu
port=${1:-5433}
manager=$((port + 1))
programs=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
folder=$(mktemp -d /tmp/txmon-example-XXXXXX)
chmod 711 "$folder"
watcher= database= alertmanager=
trap 'kill $watcher $alertmanager 2> /dev/null; kill -INT $database 2> /dev/null; wait; rm -rf "$folder"' EXIT

# PostgreSQL refuses to run as root
as=
if [ "$(id -u)" = 0 ]; then as="setpriv --reuid=postgres --regid=postgres --clear-groups"; chown postgres "$folder"; fi
$as env -C / "$programs/initdb" -D "$folder/data" -U shop --auth=trust > /dev/null
$as env -C / "$programs/postgres" -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 2> postgres.log &
database=$!
ask() { psql -h 127.0.0.1 -p "$port" -U shop -d postgres --no-psqlrc --quiet --tuples-only --no-align "$@"; }
until ask -c 'SELECT 1' > /dev/null 2>&1; do sleep 0.2; done

printf 'route: {receiver: page, group_wait: 1s}\nreceivers: [{name: page}]\n' > "$folder/alertmanager.yml"
prometheus-alertmanager --config.file="$folder/alertmanager.yml" --storage.path="$folder/alerts" \
    --web.listen-address="127.0.0.1:$manager" --cluster.listen-address= 2> "$folder/alertmanager.log" &
alertmanager=$!

# a day that ends now, with an outage in its last quarter of an hour
start=$(date -u -d '24 hours ago' +%Y-%m-%dT%H:%M:00Z)
txmon simulate --start "$start" --incident 'failed:+9@+1425m/15m' --out "$folder/day.csv"
ask -c 'CREATE TABLE payments (minute timestamptz, status text, transactions bigint)'
ask -c "\\copy payments FROM '$folder/day.csv' WITH (FORMAT csv, HEADER)"

{ exec txmon watch --sql "postgresql://shop@127.0.0.1:$port/postgres" --since 25h --poll 1s --map count=transactions \
    --query 'SELECT minute AS time, status, transactions FROM payments' \
    --out "sql:postgresql://shop@127.0.0.1:$port/postgres/verdicts" \
    --notify --alertmanager "http://127.0.0.1:$manager" --spool "$folder/spool" --state "$folder/state"
} 2> watch.log &
watcher=$!

alerts() { amtool --alertmanager.url="http://127.0.0.1:$manager" alert query --output=extended 2> /dev/null; }
waited=0
until alerts | grep -q failed; do
    waited=$((waited + 1))
    [ "$waited" -lt 120 ] || { cat watch.log; exit 1; }
    sleep 0.5
done
alerts
# verdict lines are written after the incident is on its way, so the last of them may take a moment
until [ "$(ask -c 'SELECT count(*) > 5000 FROM verdicts')" = t ] || [ "$waited" -gt 240 ]; do
    waited=$((waited + 1))
    sleep 0.5
done
ask -c "SELECT count(*) > 5000 AS enough FROM verdicts"
ask -c "SELECT state, text FROM verdicts_incidents WHERE event = 'incident' AND id LIKE '%failed' ORDER BY time LIMIT 1"
