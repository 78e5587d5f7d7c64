# Every target depends on the environment, which is made once, and again only when what it is made of changes.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORES ?= all
COVERAGE ?=
# For `make status`, `make plan` and `make cancel`: the config, the profile, and what is asked for.
CONFIG ?= config/config.yaml
PROFILE ?= slurm
TARGET ?=
# One thread per job: two OpenMP threads on a busy machine are slower than one.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export PYTHONUNBUFFERED := 1

.PHONY: setup gpu lock demo status plan cancel test oldest slurm-test lint bench clean-demo

setup: $(READY)

# To look or to cancel, any environment will do: it is not changed under jobs that run.
ANY := $(if $(wildcard $(READY)),,$(READY))

LISTS := requirements.txt requirements-dev.txt requirements-cuda.txt requirements-cpu.txt requirements-gpu.txt
ASKED := requirements.in requirements-dev.in requirements-gpu.in
# The lists are complete, so pip need not look for what packages need; `pip check` tells if one were not.
INSTALL := $(BIN)/pip install --quiet --no-deps --require-hashes --requirement

$(READY): $(LISTS) $(ASKED) pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "no program $(PYTHON): give a Python 3.11 to 3.13, PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=...")'
	@$(PYTHON) requirements.py --check
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) requirements-cpu.txt --no-index 2> /dev/null || true
	$(INSTALL) requirements-dev.txt
	if $(BIN)/pip check | grep -q '^torch '; then $(INSTALL) requirements-cuda.txt; fi
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	@# Curation's loops are compiled here, once, and not in the first step that needs them.
	@printf '{"instruction": "%s", "response": "%s"}\n' "Name the capital of France in one word." Paris \
	  "How many legs has a spider when it walks home?" "Eight legs." > $(VENV)/pairs.jsonl
	@printf '{"instruction": "%s", "response": "%s"}\n' "Which river runs through the old town of Ulm?" Danube > $(VENV)/split.jsonl
	@$(BIN)/python scripts/curate.py --input $(VENV)/pairs.jsonl --train $(VENV)/split.jsonl --test $(VENV)/split.jsonl \
	  --output $(VENV)/kept.jsonl > /dev/null
	touch $@

# Liger's kernels, for training on NVIDIA GPUs.
gpu: $(READY)
	$(INSTALL) requirements-gpu.txt
	$(BIN)/pip check

# Make the lists of pinned packages again, the newest that work together; uv is needed.
lock:
	@command -v uv > /dev/null || { echo "no program uv: pip install uv, outside $(VENV)"; exit 1; }
	$(PYTHON) requirements.py

# The whole loop on tiny models and a simulated service: `make demo`, or `make demo COVERAGE=folder` on your own pairs.
demo: $(READY)
ifeq ($(strip $(COVERAGE)),)
	$(BIN)/python scripts/build_demo.py
	$(BIN)/snakemake --profile profiles/demo --cores $(CORES) --configfile config/demo.yaml
else
	$(BIN)/python scripts/build_demo.py --coverage "$(COVERAGE)"
	$(BIN)/snakemake --profile profiles/demo --cores $(CORES) --configfile demo/coverage.yaml
endif

# The grid of runs as it stands, with dollars; failed steps with the ends of their logs.
status: $(ANY)
	$(BIN)/python scripts/status.py --config $(CONFIG)

# What would run, what of it again and why, and about how many dollars, before anything is deleted or submitted.
plan: $(ANY)
	$(BIN)/snakemake --dry-run --quiet rules progress host --configfile $(CONFIG) --profile $(PROFILE) $(TARGET)

# End the jobs of a workflow whose main process was killed. What they have done is kept.
cancel: $(ANY)
	$(BIN)/python scripts/cancel.py --config $(CONFIG)

test: $(READY)
	$(BIN)/pytest --numprocesses 2 --dist worksteal --durations 15

# The oldest Snakemake and SLURM plugin that are allowed plan the demo; all other tests are with the newest.
oldest: $(READY)
	$(BIN)/python tests/oldest.py

# On a real SLURM cluster on this machine, from the distribution's packages, in some 20 minutes; root is needed.
slurm-test: $(READY)
	$(BIN)/python tests/slurm/all_tests.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --line-length 120 Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy requirements.py scripts tests/unit tests/workflow tests/bench
	$(BIN)/mypy tests/slurm

bench: $(READY)
	for bench in tests/bench/bench_*.py; do $(BIN)/python $$bench || exit 1; done

clean-demo:
	rm -rf demo
