"""The model on packed weights, for CPUs."""
