# `make demo` shows txmon at work. `make test` runs what must pass before a change is merged.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PURE := $(VENV)/pure
SPARK := .venv-spark
SOURCES := pyproject.toml hatch_build.py $(shell find src -name '*.py' -o -name '*.toml')

.PHONY: demo test test-oldest test-versions test-spark coverage mutants fuzz fuzz-long faults-long audit dist reference lint sample bench bench-check bench-calibration bench-detection bench-peers bench-serve clean

demo: $(VENV)/installed
	$(BIN)/txmon replay examples/transactions.csv --chart always --only alerts --out $(VENV)/verdicts.jsonl
	@echo "The first of its lines (all in $(VENV)/verdicts.jsonl):"; head -1 $(VENV)/verdicts.jsonl

# Many tests wait for processes of their own, so two of them run at a time
WORKERS ?= 2
test: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	# the ignored files need Java and librdkafka: `make test-spark` runs them
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --ignore tests/spark/test_spark.py --ignore tests/spark/test_spark_route.py --ignore tests/spark/test_kafka.py

# Which lines the tests run, those of the commands that they start among them; on plain Python, since compiled code has
# no lines. Left out: what needs the compiled core, and what builds wheels.
HOOK := import os; os.environ["COVERAGE_PROCESS_START"] = "$(CURDIR)/pyproject.toml"; \
	os.environ["COVERAGE_FILE"] = "$(CURDIR)/$(PURE)/coverage"; import coverage; coverage.process_startup()
COVERED ?= tests --ignore tests/spark/test_spark.py --ignore tests/spark/test_kafka.py --ignore tests/project/test_packaging.py \
	--ignore tests/project/test_compiled.py
coverage: $(PURE)/ready
	rm -f $(PURE)/coverage*
	site=$$($(PURE)/bin/python -c 'import site; print(site.getsitepackages()[0])'); \
	trap "rm -f $$site/a_coverage.pth" EXIT INT TERM; echo '$(HOOK)' > $$site/a_coverage.pth; \
	$(PURE)/bin/python -m pytest -q $(COVERED); tests=$$?; rm -f $$site/a_coverage.pth; \
	export COVERAGE_FILE=$(CURDIR)/$(PURE)/coverage; \
	$(PURE)/bin/coverage combine --quiet $(PURE); $(PURE)/bin/coverage report && exit $$tests

# How many changes to the core's learning modules the tests notice (CONTRIBUTING.md). All of them take an hour;
# MUTANTS='*__mutmut_*[147]' takes three tenths, the same each time.
MUTANTS ?= *
mutants: $(PURE)/ready
	rm -rf mutants
	$(PURE)/bin/mutmut run --max-children 2 '$(MUTANTS)'
	$(PURE)/bin/python tests/helpers/mutants.py

# The fuzz tests at length: FUZZ_EXAMPLES cases a target; what failed is kept in .hypothesis
FUZZ_EXAMPLES ?= 100000
fuzz: $(VENV)/tested
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/fuzz

# Ten minutes of rotations, kills, full disks and other faults with each of ten seeds; 2 hours. SEEDS=3-3 for one
SEEDS ?= 0-9
faults-long: $(VENV)/tested
	$(BIN)/python tests/helpers/long_run.py --seeds $(SEEDS)

# A target at length, guided by coverage: no crash, no case over 1 s, no 500 MB; its corpus is kept in tests/fuzz/corpus
TARGET ?= records
SECONDS ?= 1800
fuzz-long: $(VENV)/fuzzed
	$(BIN)/python tests/fuzz/long.py $(TARGET) --seconds $(SECONDS)

$(VENV)/fuzzed: $(VENV)/tested
	$(BIN)/pip install --quiet --group fuzz
	touch $@

# What txmon brings along: libraries, versions, licences; fails on a licence that is not known to be permissive
audit: $(VENV)/tested
	$(BIN)/python tests/helpers/audit.py

# The oldest libraries that pyproject.toml allows (uv picks them), and the tests of what uses them; `make test` has the newest
OLDEST := tests/cli/test_cli.py tests/cli/test_golden.py tests/query/test_query.py tests/analysis/test_analyze.py tests/analysis/test_analyze_transactions.py \
	tests/terminal/test_live_chart.py tests/cli/test_notify_cli.py tests/notify/test_setup.py tests/server/test_serve_api.py
test-oldest: $(VENV)/oldest/ready
	$(VENV)/oldest/bin/python -m pytest $(OLDEST)

$(VENV)/oldest/ready: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet uv
	rm -rf $(VENV)/oldest
	$(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)/oldest
	TXMON_PURE=1 $(BIN)/uv pip install --quiet --python $(VENV)/oldest --resolution lowest-direct .
	$(BIN)/uv pip install --quiet --python $(VENV)/oldest pytest hypothesis jsonschema pexpect matplotlib apprise
	$(BIN)/uv pip list --quiet --python $(VENV)/oldest
	touch $@

# The unit tests on every Python that pyproject.toml names, if uv finds or downloads it. The report names each
# version that uv could not provide. VERSIONS='3.12 3.13' chooses; ARGUMENTS='-k baseline' goes to pytest.
VERSIONS ?=
ARGUMENTS ?=
test-versions: $(BIN)/python
	$(BIN)/pip install --quiet uv
	$(BIN)/python tests/helpers/versions.py $(VERSIONS) $(ARGUMENTS)

# The pages that are written from the code; tests compare them
reference: $(VENV)/installed
	$(BIN)/python docs/cli_reference.py
	$(BIN)/python docs/reference_pages.py
	$(BIN)/python docs/man_pages.py
	$(BIN)/python docs/reliability.py

# sdist and wheel, from what git knows alone
dist: $(BIN)/python
	$(BIN)/pip install --quiet build
	rm -rf build/clean && mkdir -p build/clean && git archive HEAD | tar -x -C build/clean
	$(BIN)/python -m build --outdir dist build/clean

# On real Spark and librdkafka's mock cluster: 850 MB more, pandas 2 instead of 3, so in an environment of its own,
# and a Java 17 (`java -version`)
test-spark: $(SPARK)/tested
	$(SPARK)/bin/python -m pytest tests/spark/test_spark.py tests/spark/test_spark_route.py tests/spark/test_kafka.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"


$(VENV)/installed: $(BIN)/python $(SOURCES)
	@# one wheel for both: the core takes its time to compile
	rm -rf $(VENV)/wheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir $(VENV)/wheel .
	@# the first replaces one of the same version, which the second would keep; that brings the libraries
	$(BIN)/pip install --quiet --force-reinstall --no-deps $(VENV)/wheel/*.whl
	$(BIN)/pip install --quiet $(VENV)/wheel/*.whl
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --group dev
	@# finds faults of accessibility; without npm, those tests are skipped
	! command -v npm >/dev/null || npm install --silent --no-audit --no-fund --prefix $(VENV)/npm axe-core@4.14.1
	touch $@

# plain Python, read from src as it is
$(PURE)/ready: pyproject.toml
	$(PYTHON) -m venv $(PURE)
	$(PURE)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(PURE)/bin/pip install --quiet --editable . --group house
	touch $@

$(SPARK)/tested: $(SOURCES)
	test -x $(SPARK)/bin/pip || $(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(SPARK)/bin/pip uninstall --quiet --yes txmon
	$(SPARK)/bin/pip install --quiet . --group spark
	touch $@

.PHONY: docs
# The site of docs/ in build/site; it needs no network, neither to build nor to read
docs: $(VENV)/documented
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/documented: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --group docs
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
	$(BIN)/python benchmarks/columns.py --json benchmarks/results/columns.json
	$(BIN)/python benchmarks/growth.py --json benchmarks/results/growth.json

# What `txmon serve` bears, beside Flask and FastAPI with the same model; 5 minutes
bench-serve: $(VENV)/benched
	$(BIN)/python benchmarks/serve.py --json benchmarks/results/serve.json

# txmon beside other detectors on the scenarios, the real files and made streams; a few minutes
bench-detection: $(VENV)/benched
	$(BIN)/python benchmarks/detection.py

# The false alarms that come, against those that --budget allows, on each scenario without incidents; a few minutes
bench-calibration: $(VENV)/benched
	$(BIN)/python benchmarks/calibration.py --json benchmarks/results/calibration.json

# txmon beside what a user might take instead: quality and speed on the same data in the same run
bench-peers: $(VENV)/benched
	$(BIN)/python benchmarks/peers.py --json benchmarks/results/peers.json

# Instructions of twelve fixed workloads against benchmarks/results/instructions.json; needs valgrind, 2 to 4 minutes.
# A change above 3 % fails unless benchmarks/CHANGES.md says why. UPDATE=--update writes the new counts.
UPDATE ?=
bench-check: $(VENV)/benched
	$(BIN)/python benchmarks/instructions.py $(UPDATE)

$(VENV)/benched: $(VENV)/installed
	$(BIN)/pip install --quiet --group bench
	touch $@

clean:
	rm -rf $(VENV) $(SPARK) build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
