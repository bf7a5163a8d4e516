"""Names of icons of user interfaces: what nano was taught to call them, and what people say."""

from florence2.pipelines.pointing.wording import folded

# fmt: off
ICON_NAMES = (
    "search", "settings", "home", "user", "heart", "star", "bell", "calendar", "camera",
    "shopping cart", "trash", "pencil", "plus", "close", "check", "menu", "left arrow",
    "right arrow", "download", "upload", "share", "lock", "mail", "phone", "map pin", "clock",
    "folder", "file", "picture", "link", "play", "pause", "speaker", "microphone", "wifi",
    "battery", "bluetooth", "printer", "save", "copy", "filter", "refresh", "information", "help",
    "warning", "eye", "sun", "moon", "cloud", "speech bubble", "bookmark", "flag", "globe", "gift",
    "car", "bicycle", "tree", "book", "key", "umbrella",
)
# By name, what people call it too.
_SYNONYMS = {
    "search": ("magnifier", "magnifying glass", "find", "loupe", "lens"),
    "settings": ("gear", "cog", "cogwheel", "preferences", "options", "configuration"),
    "home": ("house", "start page"),
    "user": ("person", "profile", "account", "avatar", "my account", "people"),
    "heart": ("like", "favourite", "favorite", "love"),
    "star": ("rating", "rate"),
    "bell": ("notifications", "notification", "alerts", "alarm"),
    "calendar": ("date", "schedule", "date picker"),
    "camera": ("photo camera", "take a photo"),
    "shopping cart": ("cart", "basket", "shopping basket", "trolley", "shopping bag"),
    "trash": ("bin", "delete", "remove", "trash can", "garbage", "recycle bin", "rubbish"),
    "pencil": ("edit", "pen", "compose", "write"),
    "plus": ("add", "new", "create"),
    "close": ("x", "cross", "cancel", "dismiss", "exit"),
    "check": ("tick", "checkmark", "check mark", "done", "confirm"),
    "menu": ("hamburger", "hamburger menu", "navigation", "burger", "list"),
    "left arrow": ("back", "previous", "arrow left", "go back", "backward"),
    "right arrow": ("forward", "next", "arrow right", "go forward"),
    "download": ("save to disk", "arrow down", "down arrow"),
    "upload": ("arrow up", "up arrow"),
    "share": ("share this", "export"),
    "lock": ("padlock", "security", "password", "secure"),
    "mail": ("envelope", "email", "e mail", "message", "inbox", "letter"),
    "phone": ("telephone", "call", "handset"),
    "map pin": ("location", "pin", "marker", "place", "map marker"),
    "clock": ("time", "history", "watch", "recent"),
    "folder": ("directory",),
    "file": ("document", "page", "paper", "new file"),
    "picture": ("image", "photo", "gallery", "images", "photos"),
    "link": ("chain", "url", "hyperlink"),
    "play": ("start",),
    "pause": ("hold",),
    "speaker": ("volume", "sound", "audio", "loudspeaker"),
    "microphone": ("mic", "voice", "dictate", "record"),
    "wifi": ("wireless", "wi fi", "network"),
    "battery": ("power", "charge"),
    "printer": ("print",),
    "save": ("floppy", "floppy disk", "disk", "diskette"),
    "copy": ("duplicate", "clone"),
    "filter": ("funnel",),
    "refresh": ("reload", "sync", "rotate", "update"),
    "information": ("info", "about", "details"),
    "help": ("question", "question mark", "support"),
    "warning": ("alert", "caution", "attention", "exclamation mark", "error"),
    "eye": ("view", "show", "visible", "visibility", "preview"),
    "sun": ("light mode", "brightness", "day"),
    "moon": ("dark mode", "night", "night mode"),
    "cloud": ("cloud storage",),
    "speech bubble": ("chat", "comment", "comments", "message bubble", "conversation", "talk"),
    "bookmark": ("ribbon",),
    "flag": ("report",),
    "globe": ("world", "web", "internet", "language", "earth"),
    "gift": ("present", "reward"),
    "car": ("vehicle", "automobile"),
    "bicycle": ("bike", "cycle"),
    "tree": ("plant", "nature"),
    "book": ("reading", "library", "manual"),
    "key": ("access",),
    "umbrella": ("insurance", "rain"),
}
# fmt: on


def icon_names_for(words: str) -> tuple[str, ...]:
    """What a model may call the icon that people ask for by these words; their own words if it is
    none of those that nano knows.

    >>> icon_names_for("trash can"), icon_names_for("cart"), icon_names_for("anchor")
    (('trash',), ('shopping cart',), ('anchor',))
    """
    text = folded(words)
    if text in ICON_NAMES:
        return (text,)
    found = [name for name, others in _SYNONYMS.items() if text in others]
    return tuple(found) or (text,)
