# Understudy's own chores. Nothing has to be prepared: each target makes the environment it needs in $(VENV), and says so.
#
#   make test PYTHON=python3.13 VENV=.venv-3.13     on another interpreter, beside the first

PYTHON ?= python3
VENV ?= .venv
MODEL ?=
NAMES ?=
FULL ?=
SOAK ?= 1

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet --quiet

# pyright from PyPI looks for newer versions of itself on every run; the version in the environment is the one that is meant.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test check soak bench growth docs clean

help: ## Say what can be made (this)
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1|/p' Makefile | while IFS='|' read -r name text; do printf '%-8s %s\n' "$$name" "$$text"; done

demo: $(VENV)/demo.stamp ## Emergency calls, two kill -9, nothing lost (MODEL=openai:... for a real model)
	@$(BIN)/python -m examples.incident_desk.demo $(if $(MODEL),--model $(MODEL))

test: check ## Everything CI runs: `check`, then the tests
	@echo "--- pytest"
	@UNDERSTUDY_SEEDS=$${UNDERSTUDY_SEEDS:-2000} $(BIN)/pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile

check: $(VENV)/test.stamp ## Style, types and floors, and a proof that the checkers look
	@echo "--- ruff"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@echo "--- import-linter"
	@$(BIN)/lint-imports --no-logo
	@echo "--- mypy, and pyright beside it"
	@$(BIN)/pyright --pythonpath $(BIN)/python & beside=$$!; $(BIN)/mypy; found=$$?; wait $$beside && exit $$found
	@echo "--- planted errors"
	@$(BIN)/python tests/typing/check_planted.py

soak: $(VENV)/test.stamp ## The long versions of the proofs: crash images, kills, simulation (hours; SOAK=0.1 for a tenth)
	@UNDERSTUDY_SOAK=$(SOAK) $(BIN)/pytest -o tmp_path_retention_policy=failed tests/crash tests/simulation tests/properties

bench: $(VENV)/test.stamp ## Measure: each target with its ratio, must and aim (NAMES="recovery verify" for some of them)
	@$(BIN)/python benchmarks $(NAMES)

growth: $(VENV)/test.stamp ## Measure how cost grows with actors, rows and runs (FULL=--full for 1,000,000 actors and 5,000,000 rows)
	@for file in benchmarks/growth_*.py; do echo; $(BIN)/python "$$file" $(FULL) || exit 1; done

docs: $(VENV)/test.stamp ## Run each snippet of README and docs/, and follow their links
	@$(BIN)/pytest tests/test_docs.py

clean: ## Remove the environment and every cache
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The environment -------------------------------------------------------------------------------------------------------------
# A stamp says which extras are in it; a changed pyproject.toml makes it stale.

$(VENV)/test.stamp: pyproject.toml
	@$(ensure-venv)
	@echo "Installing Understudy and the tools that test it into $(VENV) (about a minute, once) ..."
	@$(PIP) install -e '.[test]' || { $(no-packages); }
	@touch $(VENV)/demo.stamp $@

$(VENV)/demo.stamp: pyproject.toml
	@$(ensure-venv)
	@echo "Installing Understudy into $(VENV) (some seconds, once) ..."
	@$(PIP) install -e '.[cli,prices]' || { $(no-packages); }
	@touch $@

# Debian and Ubuntu ship Python without `venv`; on a bare machine that is the one thing to install, so say which package it is.
define ensure-venv
command -v "$(PYTHON)" >/dev/null 2>&1 || { \
  echo "There is no '$(PYTHON)' here. On Debian and Ubuntu: apt install python3 python3-venv" >&2; exit 1; }; \
"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
  echo "Understudy needs Python 3.11 to 3.14, and '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." >&2; \
  echo "Where there is another: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }; \
if ! $(BIN)/python -c 'import pip' >/dev/null 2>&1; then \
  "$(PYTHON)" -c 'import ensurepip, venv' >/dev/null 2>&1 || { \
    echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
  echo "Making a virtual environment in $(VENV) with $$("$(PYTHON)" --version 2>&1) ..."; \
  "$(PYTHON)" -m venv --clear $(VENV) || exit 1; \
fi
endef

define no-packages
echo "The packages above could not be installed. Is the network, or the package index that pip is set to use, reachable?" >&2; exit 1
endef
