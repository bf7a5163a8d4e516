"""The command line: results on stdout as JSON lines, everything for people on stderr."""
