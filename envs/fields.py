"""Single entries of a circuit's or a variant's TOML table: each is what it must be, or the error names it."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

LARGEST = 1e9
"""A whole number may be: TOML's have no bound, arithmetic has one."""


def known(table: dict[str, Any], keys: Sequence[str], where: str) -> None:
    """Refuse a key that means nothing.

    Raises:
        InputError: naming the key and the nearest known one.
    """
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1) or [", ".join(keys)]
            raise InputError(f"{where}: {key!r} is not known here: did you mean {near[0]}?")


def number(table: dict[str, Any], key: str, where: str) -> float:
    """A positive number of metres.

    Raises:
        InputError: it is missing, or none.
    """
    if key not in table:
        raise InputError(f"{where}: {key} is missing: give it in metres")
    value = table[key]
    if not is_number(value) or not math.isfinite(value) or value <= 0:
        raise InputError(f"{where}: {key} is {value!r}: give a positive number of metres")
    return float(value)


def share(table: dict[str, Any], key: str, where: str) -> float:
    """A number from 0 to 1.

    Raises:
        InputError: it is none.
    """
    value = table[key]
    if not is_number(value) or not 0.0 <= value <= 1.0:
        raise InputError(f"{where}: {key} is {value!r}: give a share from 0 to 1")
    return float(value)


def colour(table: dict[str, Any], key: str, where: str) -> tuple[int, int, int]:
    """Red, green and blue.

    Raises:
        InputError: it is no such list.
    """
    value = table.get(key)
    whole = isinstance(value, list) and all(isinstance(c, int) and not isinstance(c, bool) for c in value)
    if not isinstance(value, list) or not whole or len(value) != 3 or not all(0 <= c <= 255 for c in value):
        raise InputError(f"{where}: {key} is {value!r}: give [red, green, blue], each from 0 to 255")
    return value[0], value[1], value[2]


def is_number(value: Any) -> bool:
    """Whether `value` is a number that arithmetic can take."""
    return isinstance(value, float) or (type(value) is int and abs(value) < LARGEST)
