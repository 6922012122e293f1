#!/bin/sh
# Judge a file of counts, say what went wrong, and score that against what really did.
# usage: judge_a_file.sh; writes verdicts.jsonl here
set -eu
data=$(dirname "$0")

txmon replay "$data/transactions.csv" --out verdicts.jsonl
grep '"state": "opened"' verdicts.jsonl | grep -o '"text": "[^"]*"'
txmon evaluate verdicts.jsonl --labels "$data/transactions.labels.json"
