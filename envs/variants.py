"""Variants of circuits: rows of `variants.toml`, applied to any circuit by the name CIRCUIT+VARIANT."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs import fields, survey
from envs.errors import InputError

if TYPE_CHECKING:
    from envs.circuit_file import Content

FILE = Path(__file__).with_name("variants.toml")
JOINT = "+"
"""Between a circuit's name and its variant's."""


def names() -> tuple[str, ...]:
    """The variants, in the file's order."""
    return tuple(_tables())


def description(name: str) -> str:
    """What a variant is, in one sentence."""
    return str(_tables()[name]["description"])


def parted(text: str) -> tuple[str, str]:
    """A circuit's name or file, and the variants named behind it, joined as they were; empty for none.

    A `+` before a slash or a full stop belongs to a file's name.
    """
    head, *tail = text.split(JOINT)
    for i in range(len(tail), 0, -1):
        if any(mark in tail[i - 1] for mark in "/."):
            return JOINT.join((head, *tail[:i])), JOINT.join(tail[i:])
    return head, JOINT.join(tail)


def joined(circuit: str, variant: str) -> str:
    """The name of a circuit under variants; the reverse of `parted`."""
    return JOINT.join(filter(None, (circuit, variant)))


def check(variant: str) -> None:
    """See that all the variants joined in a name are there.

    Raises:
        InputError: one is not; the nearest are named.
    """
    for name in variant.split(JOINT) if variant else ():
        if name not in names():
            near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4) or names()
            raise InputError(f"there is no variant {name!r}: name one of {', '.join(near)}")


def applied(content: Content, variant: str, where: str) -> Content:
    """A circuit's content under one or several variants.

    A lane that grows is fitted to its bends and neighbours, as that of a centreline CSV.

    Args:
        content: as its file says.
        variant: names, joined.
        where: what an error calls the circuit.

    Raises:
        InputError: there is no such variant, or under it this circuit is no road.
    """
    check(variant)
    for name in variant.split(JOINT) if variant else ():
        table = _tables()[name]
        factor = table.get("lane", 1.0)
        asked = content.lane.scaled(factor)
        lane = survey.fitted(asked) if factor > 1.0 else asked
        markings = content.markings.changed(table.get("markings", {}), f"{FILE.name} [{name}]")
        fault = survey.fault(lane)
        if fault:
            raise InputError(f"{joined(where, variant)}: {fault.text}")
        content = content._replace(
            lane=lane,
            markings=markings,
            written={**content.written, "lane": content.written.get("lane", 1.0) * factor},
            note="; ".join(filter(None, (content.note, lane.note(asked)))),
        )
    return content


@cache
def _tables() -> dict[str, dict[str, Any]]:
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    for name, table in tables.items():
        fields.known(table, ("description", "lane", "markings"), f"{FILE.name} [{name}]")
    return tables
