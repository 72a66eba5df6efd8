# Everything that can be done here; `make` alone lists it. Nothing but Debian's make and python3-venv is needed.

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := $(PY) -m pip install -qq --disable-pip-version-check --no-input --no-build-isolation
LOCKED := $(PIP_INSTALL) --require-hashes -r

# How long the searching targets search: `make fuzz FUZZ_SECONDS=600`, `make soak SEEDS=5000`.
FUZZ_SECONDS ?= 60
SEEDS ?= 100000

# Warnings of the interpreter are on, and dictionaries of strings have one order in every run.
export PYTHONHASHSEED := 0
TEST := $(PY) -X dev -m

.DEFAULT_GOAL := help
.PHONY: help demo test test-flows test-interop test-pure test-rest check bench fuzz soak lock docs clean packages
.DELETE_ON_ERROR:

help: ## what each target does
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------- set-up

# The environment is made anew when another Python is chosen; what is in it follows the locks.
$(VENV)/made: scripts/python
	@python=$$(scripts/python) && echo "python: $$python ($$($$python -V))" && \
	    { [ -x $(PY) ] && [ "$$(readlink -f $(PY))" = "$$(readlink -f $$python)" ] || \
	      $$python -m venv --clear $(VENV); }
	@touch $@

$(VENV)/run: $(VENV)/made locks/run.txt pyproject.toml
	@echo "installing what locks/run.txt names"
	@$(LOCKED) locks/run.txt
	@$(PIP_INSTALL) --no-deps --no-index --editable .
	@touch $@

$(VENV)/test: $(VENV)/run locks/test.txt
	@echo "installing what locks/test.txt names"
	@$(LOCKED) locks/test.txt
	@touch $@

$(VENV)/fuzz: $(VENV)/test locks/fuzz.txt
	@$(LOCKED) locks/fuzz.txt
	@touch $@

packages:
	@scripts/packages test

# ---------------------------------------------------------------------------------------------- use

demo: $(VENV)/run ## set up and show the service against a pretend Internet on this machine
	@$(PY) -m ptt.cli.main demo

# --------------------------------------------------------------------------------------------- test

test: packages $(VENV)/test ## set up, check and test everything; the pure code is covered to the last branch
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going test-flows test-interop test-rest test-pure
	@$(PY) -m coverage report --fail-under=100

# Two at once, since there are two cores, the longest first.
# What is pure is covered by tests that are: without sockets or processes.
PURE_TESTS := tests/protocol tests/records tests/vectors tests/dialogs

test-pure:
	@PTT_BUDGET=enforce $(TEST) coverage run -m pytest -q $(PURE_TESTS)

# All units in one process, story after story.
test-flows:
	@PTT_BUDGET=enforce $(TEST) pytest -q tests/flows

# Whole services and the programs of others, in networks of their own.
test-interop:
	@PTT_BUDGET=enforce $(TEST) pytest -q tests/interop

test-rest:
	@PTT_BUDGET=enforce $(TEST) pytest -q $(addprefix --ignore=,$(PURE_TESTS) tests/flows tests/interop)

check: $(VENV)/test ## lint, format, types and who imports whom
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo >$(VENV)/lint-imports.log || { cat $(VENV)/lint-imports.log; exit 1; }
	@echo "check: ruff, mypy and import contracts are content"

bench: $(VENV)/test ## measure, beside the programs that set the bar (docs/benchmarks.md)
	@$(PY) bench/run.py

fuzz: $(VENV)/fuzz ## search for input that breaks a parser, FUZZ_SECONDS for each target
	@PTT_HYPOTHESIS=search $(PY) -X dev -m pytest -q --timeout=0 tests/fuzz
	@for target in tests/fuzz/atheris_*.py; do \
	    [ -e "$$target" ] || continue; \
	    echo "$$target: $(FUZZ_SECONDS) s"; \
	    mkdir -p build/corpus/$$(basename $$target .py); \
	    $(PY) $$target build/corpus/$$(basename $$target .py) -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/ -verbosity=0 || exit 1; \
	done

soak: $(VENV)/test ## all units together under SEEDS disorders, longer than a test may take
	@PTT_SEEDS=$(SEEDS) $(TEST) pytest -q --timeout=0 tests/soak

# ------------------------------------------------------------------------------------------- upkeep

docs: $(VENV)/test ## rewrite the tables of docs/ that are derived from the code
	@$(PY) docs/tables.py

UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-header --no-annotate $(UPGRADE) pyproject.toml

lock: ## make the locks anew from the ranges in pyproject.toml (needs uv); UPGRADE=--upgrade for newer versions
	@command -v uv >/dev/null || { echo "uv is not here; on any machine: python3 -m venv uv && uv/bin/pip install uv"; exit 1; }
	@$(UV_COMPILE) --group install --output-file locks/run.txt
	@$(UV_COMPILE) --group test --output-file locks/test.txt
	@$(UV_COMPILE) --group test --group fuzz --output-file locks/fuzz.txt

clean: ## remove what was made here
	@rm -rf $(VENV) build dist .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
