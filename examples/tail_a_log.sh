#!/bin/sh
# An application writes app.csv, txmon reads it as it grows, is stopped, and goes on where it was.
# usage: tail_a_log.sh; writes app.csv, txmon.state and verdicts.jsonl here
set -eu
data=$(dirname "$0")

watch_for() { # seconds
    txmon watch --follow app.csv --state txmon.state --out verdicts.jsonl & watcher=$!
    sleep "$1"
    kill "$watcher" # SIGTERM: it writes what it knows, then ends
    wait "$watcher"
}

head -2000 "$data/transactions.csv" > app.csv
watch_for 4
tail -n +2001 "$data/transactions.csv" >> app.csv # while nobody looks
watch_for 4
grep -v '"partial"' verdicts.jsonl | grep '"state": "opened"' | grep -o '"text": "[^"]*"'
