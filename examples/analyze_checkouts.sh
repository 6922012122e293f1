#!/bin/sh
# What is not normal in a day of checkouts: in words, as a page with charts, and the SQL that shows it.
# usage: analyze_checkouts.sh; writes checkouts.html here
set -eu
data=$(dirname "$0")

txmon analyze "$data/checkouts.csv" --html checkouts.html
txmon analyze "$data/checkouts.csv" --sql | txmon query - "$data/checkouts.csv" --rows 5
