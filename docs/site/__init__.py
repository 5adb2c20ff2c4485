"""Builds the site: ``python -m docs.site``, which ``make docs`` calls."""
