"""Several methods side by side, on the same images."""
