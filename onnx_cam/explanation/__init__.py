"""A model, an image and a method: the explanation."""
