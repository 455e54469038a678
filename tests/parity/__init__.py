"""The table of jax's public names: what of it is here, what is planned, what is refused and why."""
