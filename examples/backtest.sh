#!/bin/sh
# Would it have paged us, how often, and for what? A made-up week stands for a file of yours.
# usage: backtest.sh; writes week.csv, truth.json, verdicts.jsonl and txmon.toml here
set -eu

txmon simulate --days 7 --seed 3 --incident denied:x3@d2,14:00/20m --incident failed:+6@d4,03:00/15m \
    --labels truth.json --out week.csv

txmon replay week.csv --out verdicts.jsonl
txmon evaluate verdicts.jsonl --labels truth.json

# what if there had been another one?
txmon replay week.csv --inject 'reversed:x6@d5,11:00/15m' --out with.jsonl

# settings that keep to one false alarm a day
txmon tune week.csv --labels truth.json --budget 1/day > txmon.toml
grep -v '^#' txmon.toml || echo "the present settings are best"
