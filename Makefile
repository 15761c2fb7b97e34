# make demo | run | test | check | bench. The first of them makes .venv from requirements.lock; later ones find it ready.
# Choose another interpreter with `make PYTHON=python3.12 demo`, another port with `make PORT=9000 demo`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo run test check format bench lock clean

PYTHON ?= python3
UV ?= uv
VENV := .venv
PY := $(VENV)/bin/python
TEST_PROCESSES ?= 3
READY := $(VENV)/installed-from-lock

help:
	@echo "make demo   the outage of 3 April 2024, replayed on a site of its own (data in var/demo)"
	@echo "make run    an empty, ready site (data in var)"
	@echo "make test   every test, in a real database, broker and browser"
	@echo "make check  formatter, linters, types, import contracts, templates, migrations"
	@echo "make bench  the benchmarks, as a table and in var/bench.json"

demo: $(READY)
	@DATA_DIR="$${DATA_DIR:-var/demo}" exec $(PY) manage.py up --replay meta-2024-04-03

run: $(READY)
	@exec $(PY) manage.py up

# Three at once on two cores, whole files each, since a test waits more than it computes; what measures time runs alone.
test: $(READY)
	$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m "not alone"
	$(PY) -m pytest -m alone

check: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/djlint --quiet --lint frontend reports
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(PY) manage.py check

format: $(READY)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(READY)
	@$(PY) -m tests.benchmarks --json var/bench.json

# After a change of pyproject.toml. Names, versions and hashes only: no index is named in the file.
lock:
	$(UV) pip compile --quiet --generate-hashes --group dev pyproject.toml -o requirements.lock \
		--python-version 3.11 --universal --no-emit-index-url --no-header

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock: once, a minute or two."
	@# Debian's python3 without python3-venv can make an environment, only not put pip into it: its own pip then serves.
	@$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m pip --version >/dev/null 2>&1 || { \
			echo "'$(PYTHON)' has neither ensurepip nor pip (on Debian: apt-get install python3-venv)."; exit 1; }; \
		$(PYTHON) -m venv --clear --without-pip $(VENV); }
	@if $(PY) -m pip --version >/dev/null 2>&1; then pip="$(PY) -m pip"; else pip="$(PYTHON) -m pip --python $(PY)"; fi; \
		$$pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $(READY)
