# The two commands a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPARK := .venv-spark

.PHONY: demo test test-spark fuzz dist reference lint sample bench bench-detection clean

demo: $(VENV)/installed
	$(BIN)/txmon replay examples/transactions.csv --chart always --only alerts --out $(VENV)/verdicts.jsonl
	@echo "The first of its lines (all in $(VENV)/verdicts.jsonl):"; head -1 $(VENV)/verdicts.jsonl

test: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	# those need more than the rest, and have a target of their own: test-spark
	$(BIN)/python -m pytest --ignore tests/test_spark.py --ignore tests/test_spark_route.py --ignore tests/test_kafka.py

# The fuzz tests at length: FUZZ_EXAMPLES cases a target; what failed is kept in .hypothesis
FUZZ_EXAMPLES ?= 100000
fuzz: $(VENV)/tested
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/fuzz

# The pages that are written from the code; tests compare them
reference: $(VENV)/installed
	$(BIN)/python docs/cli_reference.py
	$(BIN)/python docs/reliability.py

# sdist and wheel, from what git knows alone
dist: $(BIN)/python
	$(BIN)/pip install --quiet build
	rm -rf build/clean && mkdir -p build/clean && git archive HEAD | tar -x -C build/clean
	$(BIN)/python -m build --outdir dist build/clean

# On real Spark and librdkafka's mock cluster: 850 MB more, pandas 2 instead of 3, so in an environment of its own,
# and a Java 17 (`java -version`)
test-spark: $(SPARK)/tested
	$(SPARK)/bin/python -m pytest tests/test_spark.py tests/test_spark_route.py tests/test_kafka.py

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

$(SPARK)/tested: $(SOURCES)
	test -x $(SPARK)/bin/pip || $(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(SPARK)/bin/pip uninstall --quiet --yes txmon
	$(SPARK)/bin/pip install --quiet . --group spark
	touch $@

# The shipped sample: a day with six incidents and a busy sale; the same command makes the same bytes
sample: $(VENV)/installed
	$(BIN)/txmon simulate --peak 300 --seed 7 --incident failed:+6@09:40/15m --incident reversed:x8@11:20/12m \
	  --incident '*:x0.2@13:05/4m' --incident denied:x2.8@14:30/20m --incident silence@16:10/12m \
	  --incident sale:x1.8@17:30/2h --incident backend_reversed:+8@21:00/8m \
	  --labels examples/transactions.labels.json --out examples/transactions.csv

# How fast, beside river, msgspec, csv.reader and duckdb; a few minutes
bench: $(VENV)/benched
	$(BIN)/python benchmarks/throughput.py --json benchmarks/results/throughput.json
	$(BIN)/python benchmarks/core.py --json benchmarks/results/core.json
	$(BIN)/python benchmarks/series.py --json benchmarks/results/series.json
	$(BIN)/python benchmarks/latency.py --json benchmarks/results/latency.json
	command -v valgrind >/dev/null && $(BIN)/python benchmarks/instructions.py --json benchmarks/results/instructions.json || true

# txmon beside textbook detectors and the original systems; minutes, most of them the outlier factor's
bench-detection: $(VENV)/benched
	$(BIN)/python benchmarks/detection.py

$(VENV)/benched: $(VENV)/installed
	$(BIN)/pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) $(SPARK) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
