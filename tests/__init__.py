"""The tests, which run in as many processes as there are cores: torch and NumPy take one thread in each."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when they are imported
