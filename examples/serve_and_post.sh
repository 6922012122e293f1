#!/bin/sh
# The service, a client that posts to it, and an acknowledgement.
# usage: serve_and_post.sh [PORT]; writes served.jsonl and txmon.state here
set -eu
data=$(dirname "$0")
port=${1:-8080}
api=http://127.0.0.1:$port

txmon serve --port "$port" --state txmon.state --out served.jsonl & server=$!
trap 'kill $server; wait $server' EXIT
curl --silent --retry 20 --retry-connrefused --retry-delay 1 --output /dev/null "$api/readyz"

# until a quarter to three: an issuer declines far too many
awk -F, 'NR == 1 || $1 < "2026-03-02T14:45"' "$data/transactions.csv" > until_1445.csv
python3 "$data/post_transactions.py" until_1445.csv "$api" | tail -3
curl --silent --request POST "$api/v1/incidents/20260302T1430-denied/ack"
echo
curl --silent "$api/metrics" | grep '^txmon_open_incidents'
