"""Write docs/api.md from the signatures and docstrings of what `florence2` exports.

python scripts/make_api.py

Annotations and defaults stand as in the source: what `inspect` makes of them differs between
versions of Python.
"""

import argparse
import ast
import dataclasses
import inspect
import textwrap
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

import florence2

PATH = Path(__file__).parents[1] / "docs" / "api.md"
WIDTH = 88


def page() -> str:
    parts = ["# API\n", "Made by `scripts/make_api.py` from signatures and docstrings.\n"]
    for name in florence2.__all__:
        item = getattr(florence2, name)
        if isinstance(item, types.UnionType):
            parts += described_union(name, item)
        elif inspect.isclass(item):
            parts.append(section("##", name, class_signature(name, item), item))
            parts += described_methods(name, item)
        elif callable(item):
            parts.append(section("##", name, call(name, item, written(item)), item))
    return "\n".join(parts)


def section(level: str, title: str, signature: str, item: object) -> str:
    text = inspect.getdoc(item)
    explained = f"\n```text\n{text}\n```\n" if text else ""
    return f"{level} `{title}`\n\n```python\n{signature}\n```\n{explained}"


def described_union(name: str, item: types.UnionType) -> list[str]:
    """A union with the methods that all of its classes inherit from one base."""
    bases = item.__args__[0].__mro__
    base = next(base for base in bases if all(issubclass(one, base) for one in item.__args__))
    members = " | ".join(member.__name__ for member in item.__args__)
    return [section("##", name, f"{name} = {members}", base), *described_methods(name, base)]


def described_methods(name: str, owner: type) -> Iterator[str]:
    for attribute, member in vars(owner).items():
        title = f"{name}.{attribute}"
        function = getattr(member, "__func__", member)
        if attribute.startswith("_"):
            continue
        if isinstance(member, property) and member.fget is not None:
            returned = written(member.fget)["return"]
            yield section("###", title, f"{title}: {returned}", member)
        elif isinstance(function, types.FunctionType):
            bound = not isinstance(member, staticmethod)
            yield section("###", title, call(title, function, written(function), bound), member)


def class_signature(name: str, item: type) -> str:
    if issubclass(item, (Enum, BaseException)):
        bases = [base.__name__ for base in item.__bases__ if not base.__name__.startswith("_")]
        return f"class {name}({', '.join(bases)})"
    if dataclasses.is_dataclass(item):
        return call(name, item, written_fields(item)).removesuffix(" -> None")
    return call(name, item.__init__, written(item.__init__), bound=True).removesuffix(" -> None")


def call(name: str, item: Callable[..., object], notes: dict[str, str], bound: bool = False) -> str:
    """`name(parameters) -> returned`; a parameter a line where one line is too long."""
    parts: list[str] = []
    kinds = inspect.Parameter
    for parameter in list(inspect.signature(item).parameters.values())[bound:]:
        if parameter.kind is kinds.KEYWORD_ONLY and not any(part[0] == "*" for part in parts):
            parts.append("*")
        stars = str(parameter).split(parameter.name, 1)[0]
        parts.append(stars + parameter.name + notes[parameter.name])
    end = f" -> {notes['return']}" if notes.get("return") else ""
    line = f"{name}({', '.join(parts)}){end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){end}"])


def written(function: Callable[..., object]) -> dict[str, str]:
    """`: annotation = default` of every parameter of a function, and what it returns."""
    source, node = parsed(function)
    assert isinstance(node, ast.FunctionDef)
    places = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(places) - len(node.args.defaults))
    pairs = [
        *zip(places, [*defaults, *node.args.defaults], strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
        *((place, None) for place in (node.args.vararg, node.args.kwarg) if place),
    ]
    notes = {place.arg: note(source, place.annotation, default) for place, default in pairs}
    return notes | {"return": text_of(source, node.returns) if node.returns else ""}


def written_fields(item: type) -> dict[str, str]:
    """`: annotation = default` of every field of a dataclass, those of its bases too."""
    notes = {}
    for owner in reversed([owner for owner in item.__mro__ if dataclasses.is_dataclass(owner)]):
        source, node = parsed(owner)
        assert isinstance(node, ast.ClassDef)
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                notes[line.target.id] = note(source, line.annotation, line.value)
    return notes


def parsed(item: Callable[..., object]) -> tuple[str, ast.stmt]:
    source = textwrap.dedent(inspect.getsource(item))
    return source, ast.parse(source).body[0]


def note(source: str, annotation: ast.expr | None, default: ast.expr | None) -> str:
    text = f": {text_of(source, annotation)}" if annotation else ""
    if default is None:
        return text
    return f"{text} = {field_default(source, default) or text_of(source, default)}"


def field_default(source: str, value: ast.expr) -> str | None:
    """The default that stands in a call of `field`."""
    if not (isinstance(value, ast.Call) and text_of(source, value.func) == "field"):
        return None
    given = {word.arg: text_of(source, word.value) for word in value.keywords}
    return given.get("default") or f"{given['default_factory']}()"


def text_of(source: str, node: ast.expr) -> str:
    return " ".join((ast.get_source_segment(source, node) or "").split())


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    PATH.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
