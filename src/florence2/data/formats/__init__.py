"""One file for each format of a dataset: its reader and its writer, side by side."""
