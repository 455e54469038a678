"""Data sets, and how a training loop is fed with them."""
