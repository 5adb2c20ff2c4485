.PHONY: check test wheel
PYTHON ?= python

check:            ## check style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:             ## run every test
	$(PYTHON) -m pytest

wheel:            ## build what users install
	$(PYTHON) -m build --wheel
