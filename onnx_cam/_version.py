"""The version: here once, and in ``pyproject.toml``."""

__version__ = "0.1.0"
