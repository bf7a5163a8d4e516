"""Measures of answers against truth."""
