.PHONY: check test docs wheel
PYTHON ?= python

check:            ## check style and types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:             ## run every test
	$(PYTHON) -m pytest

docs:             ## build the site in docs/_build/html; any warning or broken link is an error
	$(PYTHON) -m docs.site

wheel:            ## build what users install
	$(PYTHON) -m build --wheel
