"""Write docs/api.md from the docstrings of what `florence2` exports.

python scripts/make_api.py
"""

import argparse
import inspect
import types
from pathlib import Path

import florence2

PATH = Path(__file__).parents[1] / "docs" / "api.md"
DESCRIBED = ("Florence2", "Request", "Answer", "EngineLimits", "GenerationOptions", "Tiles", "Task")


def section(title: str, item: object, level: str) -> str:
    text = inspect.getdoc(item) or ""
    return f"{level} `{title}`\n\n```text\n{text}\n```\n"


def page() -> str:
    parts = ["# API\n", "Made by `scripts/make_api.py` from the docstrings.\n"]
    for name in florence2.__all__:
        item = getattr(florence2, name)
        if not callable(item):
            continue
        parts.append(section(name, item, "##"))
        if name in DESCRIBED and inspect.isclass(item):
            for attribute, member in vars(item).items():
                member = getattr(member, "__func__", member)
                if isinstance(member, types.FunctionType) and not attribute.startswith("_"):
                    parts.append(section(f"{name}.{attribute}", member, "###"))
    return "\n".join(parts)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    PATH.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
