"""How florence2's own model is made: pictures with exact answers, pretraining, its measuring.

Nobody needs this to run, fine-tune or measure a model; `florence2` imports nothing of it.
"""
