"""The results file of a run, and what is read from it."""
