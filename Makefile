# One door for people and for CI. Everything runs from .venv, which is made from requirements.lock and nothing else.

# The first interpreter that starts and is new enough; `make PYTHON=/path/to/python3` chooses another.
NEW_ENOUGH = import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	if "$$python" -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then command -v "$$python"; break; fi; done)

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
LOCK_ARGS ?=
SOAK_SECONDS ?= 1200
FAULTS_SECONDS ?= 3600
FAULTS_SEED ?= 1
FAULTS_ROWS ?=
NAB ?= ../shared/bench/nab
SOURCES := $(wildcard schemas streams agents tests deploy)
FAST := -m "not integration and not kafka" --ignore=tests/faults

# A lock must not depend on who makes it: no local wheels, no address of an index, no path in it. One version for every Python,
# so that a check that passes on one passes on all.
UV_COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --annotation-style line --custom-compile-command "make lock" $(LOCK_ARGS)

# What drumbeat is compared with has an environment of its own: its lock is no business of the product's.
UV_PEERS = env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --annotation-style line --custom-compile-command "make bench-peers" $(LOCK_ARGS)

# Targets whose code is not in this tree; `make help` does not promise them.
ABSENT := $(if $(wildcard agents/generate.py),,generated) $(if $(wildcard tests/faults/test_*.py),,faults) \
	$(if $(wildcard tests/benchmarks/__main__.py),,bench bench-quick bench-peers)

.DEFAULT_GOAL := help
.PHONY: $(filter-out $(ABSENT),help setup demo test check fmt lint type generated fast faults sabotage soak bench bench-quick bench-peers bench-moments lock clean)

help: ## print this
	@awk -F ':.*## ' -v absent=' $(ABSENT) ' '/^[a-z-]+:.*## / && !index(absent, " " $$1 " ") {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv from requirements.lock (hashes checked); does nothing when up to date

demo: setup ## broker, ClickHouse, worker, a lively feed and the page, on this machine; DEMO_ARGS="--seconds 60"
	@$(BIN)/drumbeat demo $(DEMO_ARGS)

test: setup ## all tests but the long ones; PYTEST_ARGS="-k windows -x" picks some
	$(PYTEST) --ignore=tests/faults --durations=10 $(PYTEST_ARGS)

check: lint type generated fast ## what CI runs first: format, lint, types, generated files, lock, fast tests

fmt: setup ## format and fix what can be fixed
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: setup ## format and lint, changing nothing
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

type: setup ## strict types, on the tests too
	$(BIN)/mypy

fast: setup ## only the tests that need no broker and no ClickHouse
	$(PYTEST) $(FAST) $(PYTEST_ARGS)

ifeq ($(filter generated,$(ABSENT)),)
generated: setup ## are the files made from code up to date?
	$(BIN)/python -m agents.generate --check
else
generated: ;
endif

faults: setup ## kills, zombies, brokers, networks and ClickHouse that go away, on Apache Kafka; FAULTS_SECONDS=3600 is about 200 kills
	$(PYTEST) tests/faults $(PYTEST_ARGS)
	$(BIN)/python -m tests.faults --seconds $(FAULTS_SECONDS) --seed $(FAULTS_SEED) $(if $(FAULTS_ROWS),--rows $(FAULTS_ROWS))

sabotage: setup ## workers with one mechanism broken: does the fault suite notice each of them?
	$(BIN)/python -m tests.faults --sabotages --seed $(FAULTS_SEED)

soak: setup ## a worker under ever new terms and ids: does its memory stay flat? SOAK_SECONDS=300 for less than 20 minutes
	$(BIN)/python -m tests.faults.soak --seconds $(SOAK_SECONDS)

ifeq ($(filter bench,$(ABSENT)),)
bench: setup ## drumbeat beside the limit, plain Faust, Quix Streams and Bytewax; 10 minutes, alone on the machine. BENCH_ARGS=--quick
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

bench-quick: setup ## the pure pipeline against its baseline; BENCH_ARGS=--write makes a new one
	$(BIN)/python -m tests.benchmarks.quick $(BENCH_ARGS)

bench-peers: setup ## write tests/benchmarks/peers.txt anew from peers.in
	$(UV_PEERS) --output-file tests/benchmarks/peers.txt tests/benchmarks/peers.in
endif

bench-moments: setup ## what is found in ten public series (NAB=DIR) and of planted moments; minutes
	$(BIN)/python -m tests.benchmarks.moments --nab $(NAB) --lofo
	$(BIN)/python -m tests.benchmarks.moments.planted

lock: setup ## write the lock files anew from pyproject.toml; LOCK_ARGS=--upgrade takes newer versions
	$(UV_COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --extra build --constraints requirements.lock --output-file deploy/requirements.lock pyproject.toml

clean: ## remove all that was made here: .venv, caches, build/
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.locked: requirements.lock
	@test -n "$(PYTHON)" || { echo "drumbeat needs Python 3.11 or newer with venv (Debian: python3-venv); none found. Say where: make PYTHON=/path/to/python3" >&2; exit 2; }
	"$(PYTHON)" -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	$(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m streams.warm
	@touch $@
