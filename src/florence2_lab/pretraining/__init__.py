"""Training of nano from nothing: examples of the worlds, dense heads, damaged answers."""
