"""What nano is measured on: pictures of the worlds and cuttings of manuals."""
