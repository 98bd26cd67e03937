# MealShare: one command each to start, test and check.  `make` alone says which.

# The Python that the virtual environment is made with: 3.11 or newer.
PY ?= python3
# Processes that run the tests.
JOBS ?= auto
# More for pytest: make test ARGS="tests/core -k ids"
ARGS ?=
# Where make faults writes its table, as Markdown.
REPORT ?=
# What has changed in the API, for CHANGELOG.md: make docs CHANGE="`sort` of feeds."
CHANGE ?=
export CHANGE

VENV := .venv
BIN := $(VENV)/bin
# New dependencies have a new stamp, so that a second run installs nothing.
HASH := $(shell sha256sum setup.py | cut -c1-16)
INSTALLED := $(VENV)/installed-$(HASH)
INSTALLED_DEV := $(VENV)/installed-dev-$(HASH)
INSTALLED_BENCH := $(VENV)/installed-bench-$(HASH)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Pyramid imports pkg_resources, which says at each start that it is old.
QUIET := PYTHONWARNINGS="ignore:pkg_resources is deprecated:UserWarning"
MEALSHARE := $(QUIET) $(BIN)/mealshare -c development.ini

.DEFAULT_GOAL := help
.PHONY: help run install install-dev database seed test faults coverage check bench bench-quick bench-gate bench-growth bench-api docs clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: database ## start the site with demo data on http://localhost:6543
	@$(MEALSHARE) seed --if-empty
	@echo "MealShare is at http://localhost:6543 (Ctrl-C ends it)."
	@$(QUIET) exec $(BIN)/pserve development.ini

database: $(INSTALLED)
	@$(MEALSHARE) db upgrade

seed: database ## fill the empty site with demo data
	@$(MEALSHARE) seed

install: $(INSTALLED) ## make .venv with what the site needs

install-dev: $(INSTALLED_DEV) ## make .venv with what developing needs too

$(BIN)/python:
	@echo "Making $(VENV) ..."
	@$(PY) scripts/bootstrap.py $(VENV)

$(INSTALLED): | $(BIN)/python
	@echo "Installing MealShare and what it needs; this takes a minute, once ..."
	@$(PIP) --editable .
	@touch $@

$(INSTALLED_DEV): | $(BIN)/python
	@echo "Installing what the tests need; this takes a minute, once ..."
	@$(PIP) --editable ".[dev]"
	@touch $@ $(INSTALLED)

test: $(INSTALLED_DEV) ## run all tests
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

faults: $(INSTALLED_DEV) ## kill, stop and fill things, and show what is promised then (docs/faults.md); takes minutes
	MEALSHARE_FAULTS_REPORT="$(REPORT)" $(BIN)/python -m pytest tests/faults -m faults $(ARGS)

coverage: $(INSTALLED_DEV) ## the same with branch coverage, which takes more than twice the time
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-branch --cov-report=term:skip-covered $(ARGS)

check: $(INSTALLED_DEV) ## lint, formatting, types, layers, translations, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/messages.py check
	@$(QUIET) $(BIN)/mealshare settings --markdown | diff -u docs/configuration.md - \
		|| { echo "docs/configuration.md is out of date: make docs"; exit 1; }
	@$(QUIET) $(BIN)/mealshare openapi --reference | diff -u docs/openapi.json - \
		|| { echo "docs/openapi.json is out of date: make docs"; exit 1; }
	@$(BIN)/python scripts/contract.py

$(INSTALLED_BENCH): $(INSTALLED_DEV)
	@echo "Installing what MealShare is measured against; this takes a minute, once ..."
	@$(PIP) --editable ".[dev,bench]"
	@touch $@

bench: $(INSTALLED_BENCH) ## measure MealShare and other frameworks, up to 2,000,000 meals: a quarter of an hour
	@$(QUIET) $(BIN)/python -m benchmarks.run $(ARGS)

bench-quick: $(INSTALLED_BENCH) ## the same on small sites, which says less: three minutes
	@$(QUIET) $(BIN)/python -m benchmarks.run --quick $(ARGS)

bench-gate: $(INSTALLED_DEV) ## count machine instructions: does a request take over 2 % more than before?
	@$(QUIET) $(BIN)/python -m benchmarks.instructions $(ARGS)

bench-growth: $(INSTALLED_DEV) ## measure what reading costs as a site grows
	@$(QUIET) $(BIN)/python -m benchmarks.growth $(ARGS)

bench-api: $(INSTALLED_DEV) ## measure what the API layer costs a request
	@$(QUIET) $(BIN)/python benchmarks/api_layer.py $(ARGS)

docs: $(INSTALLED_DEV) ## write the generated pages anew
	$(QUIET) $(BIN)/mealshare settings --markdown > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(QUIET) $(BIN)/mealshare openapi --reference > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json
	@$(BIN)/python scripts/contract.py $(if $(CHANGE),"$$CHANGE")
	$(BIN)/python scripts/api_changes.py

clean: ## remove everything that can be made again; the data in var/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -not -path "./var/*" -prune -exec rm -rf {} +
