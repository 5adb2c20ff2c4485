"""What the figures of a run allow to say: which methods are best, what the controls win, how the metrics agree."""
