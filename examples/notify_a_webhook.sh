#!/bin/sh
# People hear of the sample's incidents: a signed JSON webhook, and the receiver that checks it.
# usage: notify_a_webhook.sh [PORT]; writes received.txt here
set -eu
data=$(dirname "$0")
port=${1:-8900}
export TXMON_WEBHOOK="http://127.0.0.1:$port/" TXMON_WEBHOOK_SECRET=not-a-secret-outside-an-example

python3 "$data/receive_webhook.py" "$port" > received.txt & receiver=$!
trap 'kill $receiver; wait $receiver || true' EXIT
until curl --silent --output /dev/null "$TXMON_WEBHOOK"; do sleep 0.2; done # it listens

txmon notify --test
txmon replay "$data/transactions.csv" --notify --spool spool --out verdicts.jsonl
cat received.txt
