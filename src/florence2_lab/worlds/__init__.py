"""Makers of exactly annotated training pictures: scenes of named sprites, and printed lines.

A *kit* (one zip file, see `kit`) holds the sprites, fonts, words and textures. Makers are pure
functions of `(kit, seed, index, options)`: the same arguments give the same picture in every
process, so any number of workers makes the same training set.
"""
