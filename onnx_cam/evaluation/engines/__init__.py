"""Who works on the images of a dataset: this process, or workers of Ray."""
