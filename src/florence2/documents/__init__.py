"""Documents for people and for language models: pages, their blocks, and files that hold them."""
