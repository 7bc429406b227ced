# Emberwatch: `make` lists what there is to do.
.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint format golden bench peers fuzz audit kafka-install kafka lock clean

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
# Extras that `make install` brings and the lock file holds; `peers` is left out: it is heavy and only for comparison.
EXTRAS := fast,train,plots,bench,dev
comma := ,
BIN := $(VENV)/bin

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo
	@echo "  A Python other than python3:      make install PYTHON=python3.12"
	@echo "  PyTorch without CUDA (smaller):   make install TORCH_BACKEND=cpu"

install: $(VENV)/installed ## everything into .venv (TORCH_BACKEND=cpu for a PyTorch without CUDA)

$(VENV)/installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python \
	  || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || { echo "Emberwatch needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1). Give one with PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "'$(PYTHON) -m venv' does not work here; on Debian, 'apt-get install python3-venv' brings it."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
ifdef TORCH_BACKEND
	@# The lock file as constraints: its CUDA packages are left out, and wheels of another index have other hashes.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-verify-hashes --torch-backend $(TORCH_BACKEND) \
	  --constraint requirements.lock --editable '.[$(EXTRAS)]'
else
	@echo "Installing into $(VENV); on Linux that includes PyTorch with CUDA, some gigabytes. Without: make install TORCH_BACKEND=cpu"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
endif
	@touch $@
	@echo "Installed. '$(BIN)/emberwatch --help' is a place to start, 'make demo' another."

demo: install ## see it work on a bundled story, in this terminal (ONCE=1 ends by itself)
	$(BIN)/emberwatch demo $(if $(ONCE),--once)

test: install ## all tests that need nothing installed by hand
	$(BIN)/pytest -m "not kafka and not browser and not prometheus"

test-all: install ## those too that need Apache Kafka, Chromium or Prometheus (skipped, with a line, where missing)
	$(BIN)/pytest -rs

lint: install ## style, types, and that detectors/ stays pure
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## put the sources in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

golden: install ## write the golden files again, to be looked at before they are committed
	$(BIN)/pytest --write-golden -m "not kafka and not browser and not prometheus" -k golden

bench: install ## one benchmark: make bench NAME=narratives DATA=folder
	$(BIN)/emberwatch bench $(NAME) --data $(DATA)

peers: install ## what `bench narratives --peers` compares with (river, fast_hdbscan), beside the rest in .venv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-verify-hashes --constraint requirements.lock --editable '.[peers]'

faults: kafka-install ## break the pipeline on Apache Kafka, and count what is lost (LONG=1, JSON=file, ONLY="kills zombie")
	$(BIN)/python tests/faults/run.py $(ONLY) $(if $(LONG),--long) $(if $(JSON),--json $(JSON))

kafka-install: install ## fetch Apache Kafka's jars (Maven, Java 17 or later) into the cache folder
	$(BIN)/emberwatch kafka install

kafka: kafka-install ## run a single-node Apache Kafka in the foreground (PORT=9092)
	$(BIN)/emberwatch kafka start $(if $(PORT),--port $(PORT))

fuzz: install ## attack every decoder with 20,000 hostile inputs (INPUTS=n for another number)
	FUZZ_INPUTS=$(or $(INPUTS),20000) $(BIN)/pytest --timeout 0 tests/streams/test_hostile_inputs.py

audit: install ## compare the locked packages with what is known of them (needs the network; says so where it has none)
	$(BIN)/python deploy/security/audit_dependencies.py

lock: install ## resolve the dependencies again and write the lock file
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS))) \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean: ## remove .venv and what tools leave behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
