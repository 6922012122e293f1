#!/bin/sh
# Prometheus and Alertmanager from Debian's packages: Prometheus scrapes txmon serve, and a rule on txmon_score alerts.
# Everything runs on this machine, in a temporary folder, and ends with the script.
# usage: alert_from_prometheus.sh [PORT]; takes PORT for txmon, PORT + 1 for Prometheus and PORT + 2 for Alertmanager
# needs: apt-get install prometheus prometheus-alertmanager curl
set -eu
data=$(cd "$(dirname "$0")" && pwd)
port=${1:-8080}
prometheus=http://127.0.0.1:$((port + 1))
manager=http://127.0.0.1:$((port + 2))
folder=$(mktemp -d /tmp/txmon-example-XXXXXX)
server= scraper= alertmanager=
trap 'kill $server $scraper $alertmanager 2> /dev/null; wait; rm -rf "$folder"' EXIT

txmon serve --port "$port" --out served.jsonl & server=$!
printf 'route: {receiver: page, group_wait: 1s}\nreceivers: [{name: page}]\n' > "$folder/alertmanager.yml"
prometheus-alertmanager --config.file="$folder/alertmanager.yml" --storage.path="$folder/alerts" \
    --web.listen-address="${manager#http://}" --cluster.listen-address= 2> "$folder/alertmanager.log" &
alertmanager=$!
cat > "$folder/prometheus.yml" << END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$data/prometheus/score.yml]
scrape_configs: [{job_name: txmon, static_configs: [{targets: ["127.0.0.1:$port"]}]}]
alerting: {alertmanagers: [{static_configs: [{targets: ["${manager#http://}"]}]}]}
END
prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
    --web.listen-address="${prometheus#http://}" 2> "$folder/prometheus.log" &
scraper=$!

# a day that ends now, with an outage in its last quarter of an hour
start=$(date -u -d '24 hours ago' +%Y-%m-%dT%H:%M:00Z)
txmon simulate --start "$start" --incident 'failed:+9@+1425m/15m' --out "$folder/day.csv"
curl --silent --retry 20 --retry-connrefused --retry-delay 1 --output /dev/null "http://127.0.0.1:$port/readyz"
python3 "$data/post_transactions.py" "$folder/day.csv" "http://127.0.0.1:$port" | tail -1

alerts() { amtool --alertmanager.url="$manager" alert query --output=extended 2> /dev/null; }
waited=0
until alerts | grep -q PaymentStatusAboveNormal; do
    waited=$((waited + 1))
    [ "$waited" -lt 120 ] || { cat "$folder/prometheus.log"; exit 1; }
    sleep 0.5
done
alerts
curl --silent "$prometheus/api/v1/query?query=txmon_observed%7Bstatus%3D%22failed%22%7D" | grep -o '"status":"success"'
