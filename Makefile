# The two commands a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-spark lint sample bench clean

demo: $(VENV)/installed
	$(BIN)/txmon replay examples/transactions.csv --chart always --only alerts --out $(VENV)/verdicts.jsonl
	@echo "The first of its lines (all in $(VENV)/verdicts.jsonl):"; head -1 $(VENV)/verdicts.jsonl

test: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

# On real Spark and librdkafka's mock cluster: 850 MB more, pandas 2 instead of 3, and a Java 17 (`java -version`)
test-spark: $(VENV)/spark
	$(BIN)/python -m pytest tests/test_spark.py tests/test_kafka.py

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

$(VENV)/spark: $(VENV)/installed
	$(BIN)/pip install --quiet --group spark
	touch $@

# The shipped sample: a day with six incidents and a busy sale; the same command makes the same bytes
sample: $(VENV)/installed
	$(BIN)/txmon simulate --peak 300 --seed 7 --incident failed:+6@09:40/15m --incident reversed:x8@11:20/12m \
	  --incident '*:x0.2@13:05/4m' --incident denied:x2.8@14:30/20m --incident silence@16:10/12m \
	  --incident sale:x1.8@17:30/2h --incident backend_reversed:+8@21:00/8m \
	  --labels examples/transactions.labels.json --out examples/transactions.csv

# txmon beside textbook detectors and the original systems; minutes, most of them the outlier factor's
bench: $(VENV)/installed
	$(BIN)/pip install --quiet --group bench
	$(BIN)/python benchmarks/detection.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
