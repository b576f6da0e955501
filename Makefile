# VEMOCLAP on Triton. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
# What `export` makes (make export PROFILE=paper FORMAT=torchscript PRECISION=fp16 WEIGHTS=random),
# of which slots (default: all), and what `serve` takes of it (VARIANT=torchscript).
PROFILE ?= embedded
FORMAT ?= onnx
PRECISION ?= fp32
WEIGHTS ?= pretrained
SEED ?= 0
SLOTS ?=
HEAD ?=
# The licence of HEAD=authors, if you accept it (ACCEPT=GPL-3); none: without NLLB, see docs/profiles.md.
ACCEPT ?=
TRANSLATOR ?=
OUT ?= model_repository
VARIANT ?=
VIDEO ?=
# Handed to the recipes through the environment, since a file's name may hold anything.
export VIDEO := $(value VIDEO)
VIDEOS ?=
export VIDEOS := $(value VIDEOS)
BASELINE ?=
export BASELINE := $(value BASELINE)
BENCH_FLAGS ?=
DATA ?=
TRAIN_FLAGS ?=
STORE ?= build/head/features
EVALUATE_FLAGS ?=
# The folder with the downloaded files of Ekman-6, for DATA=ekman6.
EKMAN6 ?= ekman6
export EKMAN6 := $(value EKMAN6)
APP_PORT ?= 8501
export STORE := $(value STORE)
export DATA := $(value DATA)

# What people use (client, embedded profile, app, training), and what needs more (paper profile, tests).
BIN := .venv/bin
DEVELOPMENT := .venv-development/bin
SERVER_PYTHON := .venv-server/bin/python
INSTALL := $(PYTHON) requirements/install.py
# `export`, `server` and `training` are run from the checkout, not installed.
export PYTHONPATH := $(CURDIR)
# Two processes of one thread each, on the two cores that there are at least. A file's tests go to one
# of them, and so do all that use a server, which leave a core idle half of the time.
# In the order given: first what takes long.
IN_PARALLEL := --numprocesses 2 --dist loadscope --no-loadscope-reorder
FREE_PORTS := --grpc-port 0 --http-port 0 --metrics-port 0

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

.PHONY: python
python:
	@command -v $(PYTHON) >/dev/null || { echo "setup: there is no $(PYTHON). Install Python 3.11 with venv (apt-get install python3.11-venv), or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }

.PHONY: setup
setup: .venv/.ready .venv-server/.ready ## Make the environments that serve and classify: .venv, .venv-server

.venv/.ready: requirements/export.txt client/pyproject.toml | python
	@$(INSTALL) .venv export "client and exporters"
	@touch $@

.venv/.app: requirements/app.txt .venv/.ready
	@$(INSTALL) .venv app "the web app"
	@touch $@

.venv-server/.ready: requirements/server.txt client/pyproject.toml | python
	@$(INSTALL) .venv-server server "Triton and its Python steps"
	@touch $@

.PHONY: setup-development
setup-development: .venv-development/.ready setup ## Make .venv-development too: paper profile, tests (8 GB)

.venv-development/.ready: requirements/development.txt client/pyproject.toml | python
	@$(INSTALL) .venv-development development "paper profile and tests"
	@touch $@

.PHONY: setup-torchscript
setup-torchscript: .venv-server/.torchscript ## Let .venv-server serve TorchScript too (torch, 0.7 GB more)

.venv-server/.torchscript: requirements/torchscript.txt .venv-server/.ready
	@$(INSTALL) .venv-server torchscript "torch, for TorchScript"
	@touch $@

.PHONY: setup-gpu
setup-gpu: .venv-server/.gpu ## Let .venv-server serve ONNX on a GPU (onnxruntime-gpu)

.venv-server/.gpu: requirements/gpu.txt .venv-server/.ready
	@$(SERVER_PYTHON) -m pip uninstall --quiet --yes onnxruntime
	@$(INSTALL) .venv-server gpu "onnxruntime-gpu in place of onnxruntime"
	@touch $@

# The paper profile's exporters need packages that the embedded one's do not.
EXPORT := $(if $(filter paper,$(PROFILE)),$(DEVELOPMENT),$(BIN))
.PHONY: export
export: $(EXPORT:/bin=/.ready) ## Fill model_repository/ from PROFILE, FORMAT, PRECISION, WEIGHTS
	@$(EXPORT)/python -m export --profile $(PROFILE) --format $(FORMAT) --precision $(PRECISION) \
	    --weights $(WEIGHTS) --seed $(SEED) $(if $(HEAD),--head $(HEAD)) \
	    $(if $(ACCEPT),--accept $(ACCEPT)) $(if $(TRANSLATOR),--translator $(TRANSLATOR)) --out $(OUT) $(SLOTS)

# As it was exported before, with the environment of that profile.
IN_PAPER_PROFILE = $(shell grep --files-with-matches --no-messages '"profile": "paper"' $(OUT)/*/1/export.json)
.PHONY: exported
exported: .venv/.ready
	@$(if $(IN_PAPER_PROFILE),$(DEVELOPMENT),$(BIN))/python -m export --as-before --out $(OUT)

.PHONY: weights
weights: .venv/.ready ## List every pretrained file, its source and its licence
	@$(BIN)/python -m export weights

.PHONY: samples
samples: .venv/.ready ## Fetch and render three sample clips into samples/
	@$(BIN)/python -m export samples --out samples

SAMPLES := $(addprefix samples/,portrait.mp4 title_card.mp4 bunny.mp4)
.PHONY: demo
demo: setup exported ## Classify three sample clips, or VIDEO=path, on a server of its own
ifeq ($(value VIDEO),)
	@$(MAKE) --no-print-directory samples
	@$(SERVER_PYTHON) -m server --model-repository $(OUT) $(FREE_PORTS) -- $(BIN)/vemoclap classify --json-dir results $(SAMPLES)
else
	@$(SERVER_PYTHON) -m server --model-repository $(OUT) $(FREE_PORTS) -- $(BIN)/vemoclap classify --json-dir results "$$VIDEO"
endif
	@echo "demo: the results are in results/. Next:"
	@echo "  make demo VIDEO=path/to/clip.mp4   your own clip"
	@echo "  make app                           the web app, at http://localhost:$(APP_PORT)"
	@echo "  make export PROFILE=paper          the paper's encoders (9 GB; docs/profiles.md)"

.PHONY: serve
serve: setup exported ## Serve on 127.0.0.1 until Ctrl-C: gRPC 8001, HTTP 8000, metrics 8002
	@$(SERVER_PYTHON) -m server --model-repository $(OUT) $(if $(VARIANT),--variant $(VARIANT))

# The server that runs already, else one of its own, which ends with the app.
APP := $(BIN)/python -m ui.serve --server.port $(APP_PORT)
SERVER_RUNS := $(BIN)/python -c 'from vemoclap_client import EmotionClient as C; C(timeout_s=2).check_ready()'

.PHONY: app
app: setup .venv/.app exported ## Open the web app at http://localhost:8501 (APP_PORT), with a server if none runs
	@$(MAKE) --no-print-directory samples
	@if $(SERVER_RUNS) 2>/dev/null; then exec $(APP); \
	else exec $(SERVER_PYTHON) -m server --model-repository $(OUT) $(if $(VARIANT),--variant $(VARIANT)) -- $(APP); fi

# Of random weights, the decisions are fixed (see docs/performance.md).
BENCH_WEIGHTS = $(if $(filter paper,$(PROFILE)),paper-random,exported)
BENCH_REPOSITORY = $(if $(filter paper,$(PROFILE)),build/paper-random,$(OUT))
bench-gpu: BENCH_WEIGHTS = $(if $(filter paper,$(PROFILE)),paper-random-fp16,exported)
bench-gpu: BENCH_REPOSITORY = $(if $(filter paper,$(PROFILE)),build/paper-random-fp16,$(OUT))
BENCH := $(DEVELOPMENT)/python -m tests.benchmark

.PHONY: bench
bench: setup-development ## Print what is served per second, at what cost, against BASELINE=commit and rivals; VIDEOS=folder
	@$(MAKE) --no-print-directory $(BENCH_WEIGHTS) samples >&2
	@$(BENCH) --repository $(BENCH_REPOSITORY) --baseline "$$BASELINE" samples $${VIDEOS:+"$$VIDEOS"} $(BENCH_FLAGS)

.PHONY: bench-gpu
bench-gpu: setup-development ## The same on a GPU (PROFILE=paper: in fp16), with 1, 8, 32 and 128 clips in flight
	@$(BENCH) has-gpu
	@$(MAKE) --no-print-directory setup-gpu $(BENCH_WEIGHTS) samples >&2
	@$(BENCH) --gpu --repository $(BENCH_REPOSITORY) samples $${VIDEOS:+"$$VIDEOS"} $(BENCH_FLAGS)

# Videos go through a server, which stores of features and features.pkl do not need.
.PHONY: train
ifeq ($(value DATA),ekman6)
TRAIN_EKMAN6 := $(BIN)/python -m training ekman6 "$$EKMAN6" --out build/ekman6 $(TRAIN_FLAGS)
train: .venv/.ready
	@form=$$($(TRAIN_EKMAN6) --form) || exit; \
	if [ $$form = features ]; then $(TRAIN_EKMAN6); \
	else $(MAKE) --no-print-directory setup exported && \
	    $(SERVER_PYTHON) -m server --model-repository $(OUT) $(FREE_PORTS) -- \
	        $(TRAIN_EKMAN6) --repository $(OUT); fi
else
train: setup exported ## Train the head on DATA: clips, a feature store, a batch, features.pkl, or ekman6
	@if [ -d "$$DATA" ] && [ ! -e "$$DATA/manifest.json" ] && ! compgen -G "$$DATA/part-*.parquet" >/dev/null; then \
	    $(SERVER_PYTHON) -m server --model-repository $(OUT) $(FREE_PORTS) -- \
	        $(BIN)/python -m training train "$$DATA" --out build/head --repository $(OUT) $(TRAIN_FLAGS); \
	else $(BIN)/python -m training train "$$DATA" --out build/head $(TRAIN_FLAGS); fi
	@echo "train: serve it with: $(BIN)/python -m export fusion --profile PROFILE --checkpoint build/head/head.pt"
endif

.PHONY: evaluate
evaluate: .venv/.ready ## Score the trained head on the test clips of STORE (default: those of `make train`)
	@$(BIN)/python -m training evaluate "$$STORE" --head build/head/head.pt $(EVALUATE_FLAGS)

.PHONY: configs
configs: .venv/.ready ## Derive the slots' configurations for other machines and formats
	@$(BIN)/python -m export configs

.PHONY: check-gpu
check-gpu: setup-development ## Compare the paper's encoders, served on a GPU, with PyTorch
	@$(BENCH) has-gpu
	@$(MAKE) --no-print-directory setup-torchscript setup-gpu
	@$(DEVELOPMENT)/python -m tests.check_gpu

.PHONY: paper-random
paper-random: .venv-development/.ready ## Export the paper profile with random weights into build/, for long tests
	@$(DEVELOPMENT)/python -m export --profile paper --weights random --out build/paper-random

.PHONY: paper-random-fp16
paper-random-fp16: .venv-development/.ready
	@$(DEVELOPMENT)/python -m export --profile paper --weights random --precision fp16 --out build/paper-random-fp16

.PHONY: test
test: setup-development setup-torchscript ## Run every test but the slow and the long ones
	@$(MAKE) --no-print-directory --jobs 2 --output-sync export samples
	OMP_NUM_THREADS=1 $(DEVELOPMENT)/pytest tests/server tests/parity tests/unit $(IN_PARALLEL)

.PHONY: test-unit test-parity test-server
test-unit: .venv-development/.ready ## Run the tests that need neither weights nor server
	$(DEVELOPMENT)/pytest tests/unit
test-parity: setup-development export ## Compare every exported model with the model it came from, the slow ones too
	@$(MAKE) --no-print-directory samples
	$(DEVELOPMENT)/pytest tests/parity -m "slow or not slow"
test-server: setup-development setup-torchscript export ## Run the tests against a real Triton
	@$(MAKE) --no-print-directory samples
	$(DEVELOPMENT)/pytest tests/server

.PHONY: test-browser
test-browser: setup-development exported ## Use the app in a real browser (needs Chromium: apt-get install chromium)
	@$(MAKE) --no-print-directory samples
	$(DEVELOPMENT)/pytest tests/browser

.PHONY: test-soak
test-soak: setup-development setup-torchscript export paper-random ## Run the long tests: load, faults, mutated files, batches (over an hour)
	@$(MAKE) --no-print-directory samples
	$(DEVELOPMENT)/pytest tests -m soak

.PHONY: screenshots
screenshots: setup-development exported ## Take the pictures of the app in docs/images (needs Chromium)
	@$(MAKE) --no-print-directory samples
	@$(DEVELOPMENT)/python -m tests.browser.screenshots

.PHONY: schemas
schemas: .venv/.ready ## Generate the published JSON schemas from the documents' types
	@$(BIN)/python -c 'from vemoclap_client.schemas import write_schemas; write_schemas()'

.PHONY: docs
docs: .venv-development/.ready ## Build the docs as a site: build/site/index.html. A warning is an error
	@$(DEVELOPMENT)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env --conf-dir docs/site . build/site
	@echo "docs: build/site/index.html"

.PHONY: lint
lint: .venv-development/.ready ## Check style (ruff) and types (mypy)
	$(DEVELOPMENT)/ruff check
	$(DEVELOPMENT)/ruff format --check
	$(DEVELOPMENT)/mypy

.PHONY: format
format: .venv-development/.ready ## Put the code into the agreed format
	$(DEVELOPMENT)/ruff check --fix
	$(DEVELOPMENT)/ruff format

.PHONY: lock
lock: .venv/.ready ## Pin what requirements/*.in need; releases that are pinned already stay
	for name in server torchscript gpu export app development; do requirements/lock.sh $$name || exit; done

.PHONY: clean
clean: ## Remove environments, exported weights, samples and results (the cache of weights stays)
	rm -rf .venv .venv-development .venv-server samples results build
	git clean -dfXq model_repository
