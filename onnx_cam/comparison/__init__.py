"""Several methods on the same images."""
