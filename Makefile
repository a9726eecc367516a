# Everything there is to do here. `make demo` and `make test` need nothing but Debian, make and Python 3.11.

PYTHON := .venv/bin/python
SYSTEM_PACKAGES := chromium curl redis-server iproute2 nginx
FAULT_PACKAGES := gcc libc6-dev strace redis-server

export PATH := $(CURDIR)/.venv/node/bin:$(PATH)
# Tests start some two thousand processes, and five read the same tests: compiled once, not by each of them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types format client collected pytest faults faults-long mutants floors sdks bench bench-full docs clean

demo:
	@echo "The demo is on http://127.0.0.1:8000/ in a moment. The first time it makes its own environment in .venv, a minute or two."
	@$(MAKE) --no-print-directory .venv/ready-demo
	@$(PYTHON) -m messageflow.cli demo

# An example, such as `make example-meetup`: what it needs, and its one command.
.SECONDARY: .venv/ready-examples
example-%: .venv/ready-examples
	@scripts/system-packages $$(cat examples/$*/packages.txt 2>/dev/null)
	@$(if $(wildcard examples/$*/package.json),scripts/node-at-least 20)
	@PATH="$(CURDIR)/.venv/bin:$$PATH" examples/$*/start

# One line a part; what a part says is shown whole when it fails. The parts that keep one core busy run two at a time,
# and among them what reads all tests and leaves them compiled for the five that run them. The layers are part of the lint.
test: .venv/ready-dev
	@$(MAKE) --no-print-directory -j2 -O $(addprefix part-,collected client types lint)
	@WITHOUT=--ignore=tests/test_layers.py scripts/part pytest

part-%: .venv/ready-dev
	@scripts/part $*

collected: .venv/ready-dev
	$(PYTHON) -m compileall -q src tests benchmarks examples
	$(PYTHON) -m pytest -qq --collect-only

pytest: .venv/ready-dev
	@scripts/system-packages $(SYSTEM_PACKAGES)
	$(PYTHON) -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder $(WITHOUT)

lint: .venv/ready-dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pytest -q tests/test_layers.py

types: .venv/ready-dev
	$(PYTHON) -m mypy

format: .venv/ready-dev
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

client: .venv/ready-dev
	@scripts/node-at-least 20
	cd client && npm ci --no-audit --no-fund --silent && npm run --silent check && npm test --silent

faults: .venv/ready-dev
	@scripts/system-packages $(FAULT_PACKAGES)
	$(PYTHON) -m tests.faults

faults-long: .venv/ready-dev
	@scripts/system-packages $(FAULT_PACKAGES)
	$(PYTHON) -m tests.faults --long

mutants: .venv/ready-dev
	@scripts/system-packages $(SYSTEM_PACKAGES)
	@scripts/node-at-least 20
	cd client && npm ci --no-audit --no-fund --silent
	$(PYTHON) -m tests.mutants

floors: .venv/ready-dev
	@scripts/system-packages $(SYSTEM_PACKAGES)
	$(PYTHON) -m tests.installing.floors lowest
	$(PYTHON) -m tests.installing.floors newest

sdks: .venv/ready-dev
	@scripts/system-packages $(SYSTEM_PACKAGES)
	@scripts/node-at-least 20
	$(PYTHON) -m pytest -q tests/compat
	$(PYTHON) -m tests.compat.go_sdk
	$(PYTHON) -m tests.compat.sdk_suites

bench: .venv/ready-dev
	$(PYTHON) -m benchmarks --short

bench-full: .venv/ready-dev
	$(PYTHON) -m benchmarks --full

docs: .venv/ready-dev
	$(PYTHON) -m messageflow.cli settings > docs/settings.md
	$(PYTHON) -m messageflow.cli openapi > docs/openapi.json

.venv/ready-%: requirements/*.txt pyproject.toml
	@scripts/python-environment $*

clean:
	rm -rf .venv client/node_modules benchmarks/bin
