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
SOURCES := $(wildcard schemas streams agents tests deploy)
FAST := -m "not integration and not kafka" --ignore=tests/faults

# A lock must not depend on who makes it: no local wheels, no address of an index, no path in it. One version for every Python,
# so that a check that passes on one passes on all.
UV_COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --no-emit-find-links --annotation-style line --custom-compile-command "make lock" $(LOCK_ARGS)

# Targets whose code is not in this tree; `make help` does not promise them.
ABSENT := $(if $(wildcard agents/generate.py),,generated) $(if $(wildcard tests/faults/test_*.py),,faults) \
	$(if $(wildcard tests/benchmarks/__main__.py),,bench)

.DEFAULT_GOAL := help
.PHONY: $(filter-out $(ABSENT),help setup demo test check fmt lint type generated fast faults bench lock clean)

help: ## print this
	@awk -F ':.*## ' -v absent=' $(ABSENT) ' '/^[a-z]+:.*## / && !index(absent, " " $$1 " ") {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

ifeq ($(filter faults,$(ABSENT)),)
faults: setup ## the long tests: crashes, zombies, a broker and a ClickHouse that go away
	$(PYTEST) tests/faults --durations=10 $(PYTEST_ARGS)
endif

ifeq ($(filter bench,$(ABSENT)),)
bench: setup ## events/s and delays against the stored baseline
	$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)
endif

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
	@touch $@
