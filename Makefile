# Everything lives in .venv, made from pyproject.toml and the pinned versions of constraints.txt.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# What `make check` leaves out of `make test`: whole runs in processes of their own, and what takes seconds of a core.
FAST := not engine and not slow and not simulation and not endurance and not cluster

.PHONY: sweep check test simulation endurance cluster lint bench bench-analysis bench-scaling report

sweep: $(VENV)/ready
	$(BIN)/python sweeps/loss_weights.py $(ARGS)

# Before each commit: style and the fast tests, under 90 seconds on two slow cores.
check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(FAST)" $(ARGS)

# Two processes, each with whole files: what a file's tests share is made once. Under ten minutes on two slow cores.
test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Statistics over hundreds of made-up ledgers, searches and replays over many seeds: minutes.
simulation: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist load -m simulation $(ARGS)

# What takes many minutes: drivers killed twenty times over, thousands of trials.
endurance: $(VENV)/ready
	$(BIN)/python -m pytest -m endurance --timeout 3600 $(ARGS)

# Ray's launcher on several hosts of one machine: minutes; needs root, and Debian's openssh-server, rsync and iproute2.
cluster: $(VENV)/ready
	$(BIN)/python -m pytest -m cluster $(ARGS)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python tests/bench/overhead.py $(ARGS)

# What an answer from a ledger of a million trials costs; writes 1.2 GB to the temporary folder, takes some minutes.
bench-analysis: $(VENV)/ready
	$(BIN)/python tests/bench/analysis_scale.py $(ARGS)

# Throughput on 2 to 16 logical nodes, and the driver's limit: sleeping trials, so two cores do; a quarter of an hour.
bench-scaling: $(VENV)/ready
	$(BIN)/python tests/bench/scaling.py $(ARGS)

# The report of the newest run, or of RUN=...
RUN ?= $(shell ls -td runs/*/ 2>/dev/null | head -n 1)
report: $(VENV)/ready
	$(BIN)/python -m analysis report $(RUN) $(ARGS)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "teststrip needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV): downloads about 3 GB the first time (torch with CUDA), a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,bench]"
	@touch $@
