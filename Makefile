# The two commands a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint sample clean

demo: $(VENV)/installed
	$(BIN)/txmon replay examples/transactions.csv --only alerts

test: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"

SOURCES := pyproject.toml hatch_build.py $(shell find src -name '*.py' -o -name '*.toml')

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet --force-reinstall --no-deps .
	$(BIN)/pip install --quiet .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --group dev
	touch $@

# The shipped sample: a day with six incidents and a busy sale; the same command makes the same bytes
sample: $(VENV)/installed
	$(BIN)/txmon simulate --peak 120 --seed 11 --incident denied:x3@14:00/12m --incident failed:+6@16:00/25m \
	  --incident reversed:x8@11:10/15m --incident '*:x0.25@09:40/4m' --incident silence@13:05/9m \
	  --incident sale:x1.8@18:00/1h --incident denied:rampx3@20:00/40m \
	  --labels examples/transactions.labels.json --out examples/transactions.csv

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
