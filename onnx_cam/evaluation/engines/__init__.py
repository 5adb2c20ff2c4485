"""What distributes the images of a run: this process, or workers of Ray."""
