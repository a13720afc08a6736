# Each target is self-contained on a fresh machine with Python 3.11 (with venv), make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STAMP := $(VENV)/.compiled
KERNELS := include/canary/kernel.py include/canary/kayenta/rank_sum.py
export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help venv cloud demo down check format test system soak bench screenshots lock

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

venv: $(STAMP)
# The judge's inner loops are compiled once; numba keeps them beside the source and compiles again what has changed.
$(STAMP): $(INSTALLED) $(KERNELS)
	@$(BIN)/python -m include.canary.compile
	@touch $(STAMP)
$(INSTALLED): requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Redstart needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	@command -v git >/dev/null || { echo "Redstart needs git, which is not on the PATH."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Redstart needs Python's venv module (Debian: apt-get install python3-venv)."; exit 2; }
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $(INSTALLED)

cloud: $(STAMP)  ## the local cloud, the sample application and its traffic, without Airflow
	@./redstart up --cloud-only

demo: $(STAMP)  ## a commit travels to three regions; EXIT=1 ends by itself; BAD=slow|errors|leak|heat
	@./redstart demo $(if $(EXIT),--exit) $(if $(BAD),--bad $(BAD))

down: $(STAMP)  ## end a stack that was left behind
	@./redstart down

check: $(STAMP)  ## format, lint, types, architecture
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/architecture

format: $(STAMP)
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix -q .

test: $(STAMP)  ## unit, contract and wiring tests
	@$(BIN)/python -m pytest -q -m "not system and not soak"

system: $(STAMP)  ## real processes, Envoy, git, Airflow
	@$(BIN)/python -m pytest -q -m system --timeout 900

soak: $(STAMP)  ## what takes longer than CI has: ten good commits in a row, every bad one, on-call's day
	@$(BIN)/python -m pytest -q -m soak --timeout 14400

bench: $(STAMP)  ## the figures, each beside its yardstick of the same run
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

screenshots: $(STAMP)  ## renew the pictures in docs/ from a running demo (needs Debian's chromium)
	@$(BIN)/python -m tests.support.screenshots

lock: $(INSTALLED)  ## resolve constraints.txt anew from requirements.txt
	@$(BIN)/pip-compile -q --strip-extras --no-header --no-annotate --no-emit-options --no-emit-index-url \
	  --no-emit-find-links --no-emit-trusted-host --allow-unsafe -o constraints.txt requirements.txt
