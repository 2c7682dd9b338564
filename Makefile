# Everything is installed in .venv, from pyproject.toml and the versions pinned in constraints.txt.
PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

# The tests start hundreds of Python processes, and none should compile the same files again.
unexport PYTHONDONTWRITEBYTECODE

# What `make check` leaves out of `make test`: runs in processes of their own, and tests over half a second of CPU time.
FAST := not engine and not slow and not simulation and not endurance and not cluster

.PHONY: sweep check test simulation endurance chaos cluster lint bench bench-analysis bench-gpu bench-scaling report

sweep: $(VENV)/ready
	$(BIN)/python sweeps/loss_weights.py $(or $(ARGS),--fit 4)

# Before each commit: style and the fast tests, under 90 seconds on two slow cores.
check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(FAST)" $(ARGS)

# Two processes with whole files each, so that fixtures are built once. Under ten minutes on two slow cores.
test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# Statistics over hundreds of synthetic ledgers, and searches and replays over many seeds; takes minutes.
simulation: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist load -m simulation $(ARGS)

# Tests that take many minutes: drivers killed twenty times in a row, thousands of trials.
endurance: $(VENV)/ready
	$(BIN)/python -m pytest -m endurance --timeout 3600 $(ARGS)

# What a run survives, counted; docs/reliability.md has the counts. Hours, or CHAOS=MINUTES; goes on where it was stopped.
chaos: $(VENV)/ready
	$(BIN)/python -m tests.chaos $(if $(CHAOS),--minutes $(CHAOS)) $(ARGS)

# Ray's launcher on several virtual hosts; takes minutes, and needs root and openssh-server, rsync, iproute2 (Debian).
cluster: $(VENV)/ready
	$(BIN)/python -m pytest -m cluster $(ARGS)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python tests/bench/overhead.py $(ARGS)

# The time and memory of answers from a ledger of a million trials; writes 1.2 GB of temporary files, takes minutes.
bench-analysis: $(VENV)/ready
	$(BIN)/python tests/bench/analysis_scale.py $(ARGS)

# Trials per hour and steps on a GPU, compared with Ray Tune and with what the device could do: hours, or choose with ARGS.
bench-gpu: $(VENV)/ready
	$(BIN)/python -m tests.bench.gpu $(ARGS)

# Throughput on 2 to 16 logical nodes, and the driver's limit. Trials sleep, so two cores suffice; 15 minutes.
bench-scaling: $(VENV)/ready
	$(BIN)/python tests/bench/scaling.py $(ARGS)

# The report of the newest run, or of RUN=... A script of several sweeps has its runs one folder further down.
RUN ?= $(patsubst %/runs/,%,$(shell ls -td runs/*/runs/ runs/*/*/runs/ 2>/dev/null | head -n 1))
report: $(VENV)/ready
	$(BIN)/python -m analysis report $(RUN) $(ARGS)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "teststrip needs Python 3.11 or newer; choose one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV): the first time this downloads about 3 GB (torch with CUDA) and takes a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,bench]"
	@touch $@
