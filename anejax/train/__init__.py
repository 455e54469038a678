"""Training: a plain loop, its checkpoints and its records."""
