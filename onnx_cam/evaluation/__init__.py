"""The papers' evaluation: datasets, metrics, runs that resume, reports."""
