"""From a file to the network's input, and from a map back to the image."""
