"""Training data: records, and what reads, mixes and batches them."""
