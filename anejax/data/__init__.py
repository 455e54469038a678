"""Data sets, and the batches that a training loop reads from them."""
