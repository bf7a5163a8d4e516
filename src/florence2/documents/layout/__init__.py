"""The parts of `documents.blocks`: rows, what is usual on a page, headings, lists, paragraphs."""
