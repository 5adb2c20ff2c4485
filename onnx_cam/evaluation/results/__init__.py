"""The results file of a run, what is read from it, and what is written beside it."""
