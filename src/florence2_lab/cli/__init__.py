"""The command `florence2-lab`."""
