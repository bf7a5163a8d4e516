"""Pictures too large for the model at once: cut into tiles, asked in batches, told as one.

cut -> one request a tile -> results -> moved into the picture's frame -> joined at the seams
"""
