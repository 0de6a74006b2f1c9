# Two commands do all the set-up on a fresh machine: `make evaluate` and `make test`.
# They need python3 (3.11 or newer, with venv), make and git. Overrides: `make drive CIRCUIT=montreal SEED=3`.

PYTHON ?= python3
PLAN ?= quick
EXECUTOR ?= auto
RESULTS ?= results
MODEL ?= pilotnet
CIRCUIT ?= simple
SEED ?= 1
IMAGES ?= world torch-cpu onnxruntime openvino
ARGS ?=

HOTLAP := .venv/bin/python -m pipeline
TOX := .hotlap/tox/bin/tox

.PHONY: help setup evaluate full drive measure train optimize table publish readme test test-container peers lint images lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv, the host's own environment, from its lock

evaluate: .venv/ready ## Drive what is missing of PLAN (quick) and write RESULTS/README.md
	$(HOTLAP) evaluate --plan $(PLAN) --executor $(EXECUTOR) --results $(RESULTS) $(ARGS)

full: .venv/ready ## Drive what is missing of the full plan, as the nightly does
	$(HOTLAP) evaluate --plan full --executor $(EXECUTOR) --results $(RESULTS) $(ARGS)

drive: .venv/ready ## Drive one case: MODEL, CIRCUIT (name or file), SEED
	$(HOTLAP) drive --model $(MODEL) --circuit $(CIRCUIT) --seed $(SEED) --executor $(EXECUTOR) $(ARGS)

measure: .venv/ready ## Measure inference times on this host, nothing else running
	$(HOTLAP) measure --executor $(EXECUTOR) --results $(RESULTS) $(ARGS)

train: .venv/ready ## Train the network on the training circuits and write its artifact
	$(HOTLAP) train $(ARGS)

optimize: .venv/ready ## Make the compressed variants of the network: all, or ARGS="qat slim_16"
	$(HOTLAP) optimize $(ARGS)

table: .venv/ready ## Write RESULTS/README.md again from the records of PLAN alone
	$(HOTLAP) table --plan $(PLAN) --results $(RESULTS) $(ARGS)

publish: .venv/ready ## Compile the records and timing of PLAN into RESULTS/published for git
	$(HOTLAP) publish --plan $(PLAN) --results $(RESULTS)

readme: ## Copy the table of RESULTS/README.md into README.md
	$(PYTHON) -m pipeline.readme $(RESULTS)/README.md README.md

test: .hotlap/tox/ready ## Lint, type check and test; no Docker needed
	$(TOX) run

test-container: .hotlap/tox/ready ## Test on a real Docker daemon
	$(TOX) run -e containers

peers: .venv/ready ## Measure hotlap's speed beside other simulators', nothing else running
	.venv/bin/python -m benchmarks.peers $(ARGS)

lint: .hotlap/tox/ready ## Check style and workflows only
	$(TOX) run -e lint

images: .venv/ready ## Build the images that are not there yet: IMAGES
	.venv/bin/python -c 'import sys; from pipeline import images; [images.ensure(name) for name in sys.argv[1:]]' $(IMAGES)

lock: .hotlap/tox/ready ## Write every lock again; ARGS=--upgrade looks for newer versions
	.hotlap/tox/bin/python docker/lock.py $(ARGS)

clean: ## Remove everything that can be made again, except results
	rm -rf .venv .tox .hotlap build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/ready: requirements/host.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements/host.lock
	.venv/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

.hotlap/tox/ready: requirements/dev.lock
	$(PYTHON) -m venv --clear .hotlap/tox
	.hotlap/tox/bin/python -m pip install --quiet --require-hashes -r $<
	touch $@
