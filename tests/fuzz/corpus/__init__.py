"""The intact files that damage starts from, made in code."""
