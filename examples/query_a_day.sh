#!/bin/sh
# SQL over transactions and verdicts.
# usage: query_a_day.sh; writes verdicts.jsonl here
set -eu
data=$(dirname "$0")

txmon replay "$data/transactions.csv" --out verdicts.jsonl
txmon query --name incident-timeline verdicts.jsonl
txmon query --name rate-by-hour "$data/transactions.csv" --rows 3
txmon query "SELECT status, sum(count) AS transactions FROM transactions GROUP BY ALL ORDER BY 2 DESC" \
    "$data/transactions.csv" --format csv
