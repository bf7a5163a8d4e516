"""Words of captions, for CIDEr."""


def caption_tokens(caption: str) -> list[str]:
    """The words of a caption in lower case, without full stops."""
    return caption.lower().replace(".", "").split()
