# Everything here is what CI calls; `make` and `make test` are enough on a fresh machine.

PYTHON ?= python3
VENV ?= .venv
ARTIFACTS ?= artifacts
BIN := $(VENV)/bin
PIP := "$(BIN)/python" -m pip
# As targets, paths have a backslash before each space; in recipes they have quotes
space := $(subst ,, )
VENV_TARGET := $(subst $(space),\ ,$(VENV))
# A variable as it was given, in which neither make nor the shell replaces anything
quoted = '$(subst ','\'',$(value $(1)))'
PROJECTS := pyproject.toml runtime/pyproject.toml constraints.txt
RECIPES := $(sort $(wildcard recipes/*.toml))
# Each in quotes, since ARTIFACTS may have spaces
RELEASES := $(foreach recipe,$(RECIPES),"$(ARTIFACTS)/$(basename $(notdir $(recipe)))")

# Test processes at once; each runs on one thread
WORKERS ?= 2

# How long `make fuzz` takes, and where its inputs start
MINUTES ?= 30
SEED ?= 0

# What `python -m bench run` is told besides, such as --enforce or --ours FILE; BENCH_TEXTS for `python -m bench texts`,
# and BENCH_GPU for `python -m bench.gpu`
BENCH ?=
BENCH_TEXTS ?=
BENCH_GPU ?=

# An index that has a build of torch for CUDA, where the usual one does not; files or targets of which `make test-gpu`
# may skip everything, such as "tensorrt flash_attention"
TORCH_INDEX ?=
MAY_SKIP ?=

# What `make wheels-check` tries, such as python3.10,python3.12 and serve,trust; everything without them
PYTHONS ?=
EXTRAS ?=

.DEFAULT_GOAL := all
.PHONY: all setup setup-dev demo build releases results bench bench-gpu setup-bench setup-gpu clients clients-js clients-fastembed wheels wheels-check packages packages-offline packages-aarch64 packages-triton test test-fast test-gpu test-ray test-stores fuzz lint format demo-train clean help

all: releases ## set up, build the six demo releases, and print how they fared

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV_TARGET)/.installed ## a virtual environment that can build releases

setup-dev: $(VENV_TARGET)/.installed-dev ## the same, with what tests and linting need

$(VENV_TARGET)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "distilforge needs Python 3.11 or newer; name one: make PYTHON=python3.11" >&2; exit 2; }
	"$(PYTHON)" -m venv "$(VENV)"

$(VENV_TARGET)/.installed: $(VENV_TARGET)/bin/python $(PROJECTS)
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt -e ./runtime -e '.[demo,checkpoints,openvino]'
	@touch "$@"

$(VENV_TARGET)/.installed-bench: $(VENV_TARGET)/.installed
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt -e ./runtime -e '.[demo,checkpoints,openvino,bench]'
	@touch "$@"

$(VENV_TARGET)/.installed-dev: $(VENV_TARGET)/.installed
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt -e ./runtime -e '.[demo,checkpoints,openvino,dev]'
	@touch "$@"

setup-bench: $(VENV_TARGET)/.installed-bench ## the same, with the peers that benchmarks compare with

# NVIDIA's own index serves tensorrt, and not every network reaches it: `make test-gpu` then names what was not tested
setup-gpu: setup-dev ## the same, with what tests on an NVIDIA GPU need: several gigabytes
	$(PIP) install --quiet --disable-pip-version-check --force-reinstall -c constraints.txt $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") torch==2.13.0
	$(PIP) uninstall --quiet --yes onnxruntime
	$(PIP) install --quiet --disable-pip-version-check --force-reinstall --no-deps onnxruntime-gpu==1.31.1
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt 'onnxruntime-gpu[cuda,cudnn]==1.31.1' onnxruntime-ep-nv-tensorrt-rtx==0.5.0
	-$(PIP) install --quiet --disable-pip-version-check 'tensorrt>=10.14,<12'

demo: setup ## assemble the six demo checkpoints
	"$(BIN)/python" -m demo.assemble --output demo/checkpoints

releases: demo
	@"$(BIN)/distilforge" build $(RECIPES) --artifacts "$(ARTIFACTS)"

results: releases ## write the tables of the demo's releases into README.md and docs/measurements/releases.md
	"$(BIN)/distilforge" summary $(RELEASES) --markdown | "$(BIN)/python" -m demo.release_tables

bench: setup-bench releases ## measure against PyTorch, Optimum, CTranslate2 and OpenVINO, on real texts too, and cold starts
	"$(BIN)/python" -m bench run --output "$(ARTIFACTS)/bench" --cache "$(ARTIFACTS)/bench/.subjects" $(BENCH)
	"$(BIN)/python" -m bench texts --output "$(ARTIFACTS)/bench" --cache "$(ARTIFACTS)/bench/.subjects" $(BENCH_TEXTS)
	"$(BIN)/python" -m bench.cold_start "$(ARTIFACTS)/sentiment" --raw "$(ARTIFACTS)/bench/cold_start.json"

# setup-bench installs onnxruntime, whose files setup-gpu then replaces by those of onnxruntime-gpu
bench-gpu: ## measure on an NVIDIA GPU against eager, SDPA, torch.compile and ONNX Runtime CUDA
	@"$(PYTHON)" -m tests.gpu_run.device "$@"
	"$(MAKE)" setup-bench
	"$(MAKE)" setup-gpu
	"$(BIN)/python" -m bench.gpu --output "$(ARTIFACTS)/bench-gpu" --cache "$(ARTIFACTS)/bench-gpu/.subjects" $(BENCH_GPU)

build: setup ## one release for CI: make build MODEL=folder [DATA=evaluation.jsonl] [NAME=name]
	@test -n $(call quoted,MODEL) || { echo "say which checkpoint: make build MODEL=./my-distilbert DATA=eval.jsonl" >&2; exit 2; }
	"$(BIN)/distilforge" build $(call quoted,MODEL) --artifacts "$(ARTIFACTS)" $(if $(value NAME),--name $(call quoted,NAME)) $(if $(value DATA),--data $(call quoted,DATA))

wheels: $(VENV_TARGET)/bin/python ## build the wheels of the runtime and of the pipeline into dist/
	rm -rf build runtime/build dist
	$(PIP) wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist ./runtime .

# Not a part of the tests: the extras are several gigabytes
wheels-check: setup wheels ## install the runtime's wheel into other Pythons and with each extra alone, and answer with it
	"$(BIN)/python" -m tests.clients.wheels $(if $(PYTHONS),--pythons $(PYTHONS)) $(if $(EXTRAS),--extras $(EXTRAS)) $(RELEASES)

packages: releases ## make every kind of package of the demo's releases, test them, and write docs/packages.md
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt tritonclient -e '.[coreml]'
	"$(BIN)/python" -m demo.package_table $(RELEASES)

packages-offline: setup ## install an archive of the sentiment release with the network taken away, as root
	"$(BIN)/python" -m tests.clients.offline "$(ARTIFACTS)/sentiment"

packages-aarch64: setup ## run an archive of the sentiment release on an emulated aarch64 processor: Debian, as root
	"$(BIN)/python" -m tests.clients.aarch64 "$(ARTIFACTS)/sentiment"

packages-triton: setup ## serve Triton packages with the server that nvidia-pytriton bundles, and ask it with texts
	"$(BIN)/python" -m tests.clients.triton_server $(RELEASES)

clients: setup ## open the demo's releases with the oldest onnxruntime that the runtime allows, and with one between
	"$(BIN)/python" -m tests.clients.onnxruntime_versions $(RELEASES)

clients-js: setup-dev ## test what reads releases in JavaScript: Node.js, npm and Chromium must be installed
	cd tests/clients/javascript && ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-audit --no-fund
	"$(BIN)/python" -m pytest -n $(WORKERS) --dist loadfile tests/integration/javascript

clients-fastembed: setup ## embed texts with fastembed and the demo's release of that head, unchanged
	"$(BIN)/python" -m tests.clients.fastembed_release $(RELEASES)

test: setup-dev ## set up and run all tests, in WORKERS processes
	"$(BIN)/python" -m pytest -n $(WORKERS) --dist worksteal

test-fast: setup-dev ## the unit tests alone: no builds, no engines
	"$(BIN)/python" -m pytest -n $(WORKERS) --dist worksteal tests/unit

fuzz: setup-dev ## read mutated files of every kind for MINUTES; exit 1 if one crashes, hangs or escapes
	"$(BIN)/python" -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

test-stores: setup-dev ## push to an S3 server and a registry on this machine, and kill twenty publishers to each
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt -e '.[stores]'
	"$(BIN)/python" -m pytest tests/integration/pipeline/remote
	"$(BIN)/python" -m tests.store_kills

test-gpu: ## on a machine with an NVIDIA GPU: install, build the releases, and run every test that needs it
	@"$(PYTHON)" -m tests.gpu_run.device "$@"
	"$(MAKE)" releases
	"$(MAKE)" setup-gpu
	"$(BIN)/python" -m pytest tests/gpu -m gpu -p tests.gpu_run.plugin $(foreach name,$(MAY_SKIP),--may-skip $(name))

test-ray: setup-dev ## install Ray, and test `distilforge run --ray` on a Ray of this machine
	$(PIP) install --quiet --disable-pip-version-check -c constraints.txt -e './runtime[bulk,ray]'
	"$(BIN)/python" -m pytest tests/integration/runtime/bulk/test_ray.py

lint: setup-dev ## style and types
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"

format: setup-dev ## rewrite the sources in the project's style
	"$(BIN)/ruff" check --fix .
	"$(BIN)/ruff" format .

demo-train: setup-dev ## train the demo's heads again from the PyPI packages (hours; downloads 358 MB)
	$(PIP) install --quiet -c constraints.txt -e '.[demo,train]'
	$(PIP) download --quiet --no-deps --no-binary bigbench --dest demo/.scratch bigbench==1.0.0
	"$(BIN)/python" -m demo.prepare
	"$(BIN)/python" -m demo.train --head all

clean: ## remove what builds made (published releases stay)
	rm -rf "$(ARTIFACTS)/.work" demo/checkpoints .ci-environments build dist runtime/build runtime/dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
