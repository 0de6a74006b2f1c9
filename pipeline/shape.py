"""The shape of data from outside: whether JSON is what a `TypedDict` says, and where it is not."""

from __future__ import annotations

import math
import types
import typing
from typing import Any, Literal


def problem_of(data: object, kind: Any, at: str) -> str | None:
    """The first place where `data` is not of `kind`, in words, or None where it is.

    Args:
        data: what `json.loads` gave.
        kind: a TypedDict, ``list[...]``, ``dict[str, Any]``, a union, a Literal or a class. A TypedDict's data may
            have more keys than it names; ``float`` takes whole numbers too, and no number may be infinite or NaN.
        at: what to call the place of `data`.
    """
    origin = typing.get_origin(kind)
    if typing.is_typeddict(kind):
        return _problem_of_table(data, kind, at)
    if origin in (types.UnionType, typing.Union):
        problems = [problem_of(data, part, at) for part in typing.get_args(kind)]
        return None if None in problems else problems[0]
    if origin is list:
        return _problem_of_list(data, typing.get_args(kind)[0], at)
    if origin is Literal:
        words = typing.get_args(kind)
        return None if data in words else f"{at} is {data!r}, which is not one of {', '.join(map(str, words))}"
    return _problem_of_value(data, origin or kind, at)


def _problem_of_table(data: object, kind: Any, at: str) -> str | None:
    if not isinstance(data, dict):
        return f"{at} is no table"
    for key, part in typing.get_type_hints(kind).items():
        problem = problem_of(data[key], part, f"{at}.{key}") if key in data else f"{at}.{key} is missing"
        if problem is not None:
            return problem
    return None


def _problem_of_list(data: object, part: Any, at: str) -> str | None:
    if not isinstance(data, list):
        return f"{at} is no list"
    return next((problem for item in data if (problem := problem_of(item, part, f"{at}[]")) is not None), None)


def _problem_of_value(data: object, kind: type, at: str) -> str | None:
    if isinstance(data, float) and not math.isfinite(data):
        return f"{at} is {data}, which is no finite number"
    wanted = (int, float) if kind is float else kind
    if isinstance(data, wanted) and not (isinstance(data, bool) and kind in (int, float)):
        return None
    return f"{at} is {str(data)[:40]!r}, which is no {kind.__name__}"
