# Everything there is to do here. `make demo` and `make test` need nothing but Debian, make and Python 3.11.

PYTHON := .venv/bin/python
SYSTEM_PACKAGES := chromium curl redis-server iproute2 nginx
FAULT_PACKAGES := gcc libc6-dev strace redis-server

export PATH := $(CURDIR)/.venv/node/bin:$(PATH)

.PHONY: demo test lint types format client pytest faults faults-long mutants floors bench bench-full docs clean

demo:
	@echo "The demo is on http://127.0.0.1:8000/ in a moment. The first time it makes its own environment in .venv, a minute or two."
	@$(MAKE) --no-print-directory .venv/ready-demo
	@$(PYTHON) -m messageflow.cli demo

# One line a part; what a part says is shown whole when it fails.
test:
	@for part in lint types client pytest; do scripts/part $$part || exit 1; done

pytest: .venv/ready-dev
	@scripts/system-packages $(SYSTEM_PACKAGES)
	$(PYTHON) -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder

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
