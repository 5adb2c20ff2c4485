"""The papers' evaluation: datasets, runs that resume, tables, reports."""
