"""Build the kit from registry packages; needs the extra `kit` (fontTools, resvg_py) and node."""
