"""What distributes the images of a run: this process alone, or workers of Ray."""
