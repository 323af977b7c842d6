# tapover's commands for people. The two that matter: make demo, make test.

BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench bench-page bench-baseline check lint format types arrows house fix \
    lock clean

help: ## this list
	@echo "tapover. Every command sets up what it needs first; a second run starts in seconds."
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/  make \1 \2/p' $(MAKEFILE_LIST) | \
	    awk '{printf "  %s %-14s", $$1, $$2; $$1 = $$2 = ""; print $$0}'
	@echo
	@echo "PYTHON=python3.13 make setup uses another Python (3.11 or later)."

setup: ## installs Debian packages and makes .venv, saying what and why
	@scripts/setup

# make turns every failure into its own exit 2; .venv/bin/python -m benchmarks.demo --once
# gives the demo's own: 0 all held, 1 a promise broke, 2 only a time budget was missed.
demo: setup ## plays a minute of an A&E shift, then stays up (ONCE=1: ends after it)
	@$(BIN)/python -m benchmarks.demo $(if $(filter-out 0,$(ONCE)),--once)

# Three processes on two cores: most tests wait for real parts. ARGS="-n 0" runs them one after another.
test: setup ## the quick tests (FULL=1: all of them; ARGS="-k tap": pytest's own)
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --durations=25 $(if $(filter-out 0,$(FULL)),--full) $(ARGS)

# As with the demo, .venv/bin/python -m benchmarks gives its own status: 0 all held, 1 something
# failed, 2 only a budget was missed.
bench: setup ## measures tap and log, beside what else there is (QUICK=1: 3 minutes; ARGS=--resume)
	@$(BIN)/python -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick) $(ARGS)

bench-page: setup ## writes docs/performance.md and the README's headlines from the last bench
	@$(BIN)/python -m benchmarks page $(ARGS)

bench-baseline: setup ## keeps the last bench as what later ones are compared with
	@$(BIN)/python -m benchmarks baseline $(ARGS)

check: lint format types arrows house ## style, types, who imports whom, house rules

lint: setup
	@$(BIN)/ruff check .

format: setup
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy --strict

arrows: setup
	@$(BIN)/lint-imports --no-logo

house: setup
	@$(BIN)/python -m pytest -q tests/test_house

fix: setup ## formats the code and mends what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## writes requirements/*.txt anew (ARGS=--upgrade: to the newest versions)
	@scripts/lock $(ARGS)

clean: ## removes .venv, node_modules and everything built
	rm -rf .venv node_modules build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
