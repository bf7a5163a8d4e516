"""Documents as files: one module a format, and a table of them in `registry`."""
