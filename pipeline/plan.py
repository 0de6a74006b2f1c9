"""A plan: the TOML file that lists what to drive. `quick`, `full` and `ci` come with the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs import circuit as circuits
from envs import conditions, variants
from envs.errors import InputError
from envs.progress import Limits
from pipeline import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.settings import Settings

FOLDER = Path(__file__).parent / "plans"

DIRECTIONS = ("forward", "reverse")
CLOCKS = ("lockstep",)
CALIBRATORS = ("centreline", "zero", "sleep")
ALL = "*"
"""As the only entry of ``models``: every model of the manifest that is no calibrator."""

SCOPE_KEYS = ("circuits", "directions", "conditions", "seeds")
KEYS = ("models", "without", *SCOPE_KEYS, "clock", "limits", "calibrators")
LIMIT_KEYS = tuple(Limits.__dataclass_fields__)


@dataclass(frozen=True)
class Scope:
    """What one model is driven over: every combination of these.

    Attributes:
        circuits: names, or absolute paths of circuit files, with or without a variant.
        directions: of ``forward``, ``reverse``.
        conditions: names of sets in `envs/conditions.toml`.
        seeds: each drawn anew in every circuit and direction.
    """

    circuits: tuple[str, ...]
    directions: tuple[str, ...]
    conditions: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What to drive.

    Attributes:
        name: the plan file's name without its suffix.
        path: the plan file.
        models: names of models, or (`ALL`,).
        without: of all models, those that are left out unless the user names them; patterns as of a shell's files.
        scope: what ranked models are driven over.
        calibrators: name -> what that calibrator is driven over.
        clock: how the world's time relates to the driver's.
        limits: of the judge.
    """

    name: str
    path: Path
    models: tuple[str, ...]
    scope: Scope
    calibrators: Mapping[str, Scope]
    clock: str = "lockstep"
    limits: Limits = field(default_factory=Limits)
    without: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """The plans that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name_or_path: str) -> Plan:
    """The plan of that name, or in that file (anything with a slash or ending in ``.toml`` is a path).

    Raises:
        InputError: there is no such plan, or it says something unknown: the word, its line and the nearest known word.
    """
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        path = Path(name_or_path)
    elif name_or_path in names():
        path = FOLDER / f"{name_or_path}.toml"
    else:
        raise InputError(f"there is no plan {name_or_path!r}; {settings.nearest(name_or_path, names())}")
    file = settings.read(path, "plan")
    data = file.data
    file.check_keys(data, KEYS, required=("models", *SCOPE_KEYS), at="the plan")
    scope = _scope(file, data, None, at="the plan")
    return Plan(
        name=path.stem,
        path=path,
        models=_words(file, data, "models", None, at="the plan"),
        scope=scope,
        calibrators=_calibrators(file, scope),
        clock=file.word(data.get("clock", "lockstep"), CLOCKS, at="the plan, clock"),
        limits=_limits(file),
        without=_words(file, data, "without", None, at="the plan") if "without" in data else (),
    )


def _calibrators(file: Settings, scope: Scope) -> dict[str, Scope]:
    """The scope of each calibrator: what its table says, and the ranked models' for what it leaves out."""
    tables = file.value(file.data, "calibrators", dict, at="the plan") or {}
    file.check_keys(tables, CALIBRATORS, at="[calibrators]")
    scopes = {}
    for name in CALIBRATORS:
        at = f"[calibrators.{name}]"
        table = file.value(tables, name, dict, at=at) or {}
        file.check_keys(table, SCOPE_KEYS, at=at)
        scopes[name] = _scope(file, table, scope, at=at)
    return scopes


def _scope(file: Settings, table: Mapping[str, Any], default: Scope | None, *, at: str) -> Scope:
    return Scope(
        circuits=_circuits(file, table, at=at) if default is None or "circuits" in table else default.circuits,
        directions=_words(file, table, "directions", DIRECTIONS, at=at)
        if default is None or "directions" in table
        else default.directions,
        conditions=_words(file, table, "conditions", conditions.names(), at=at)
        if default is None or "conditions" in table
        else default.conditions,
        seeds=_seeds(file, table, at=at) if default is None or "seeds" in table else default.seeds,
    )


def _words(
    file: Settings, table: Mapping[str, Any], key: str, known: tuple[str, ...] | None, *, at: str
) -> tuple[str, ...]:
    """The list of words under `key`: not empty, none twice, each known (if `known` is given)."""
    values = file.value(table, key, list, at=at) or []
    if not values:
        raise file.refuse(f"{at}: {key} lists nothing; name at least one", key, at)
    for value in values:
        if known is not None:
            file.word(value, known, at=f"{at}, {key}")
        elif not isinstance(value, str):
            raise file.refuse(f"{at}: {key} lists {value!r}, but must list texts", key, at)
        if values.count(value) > 1:
            raise file.refuse(f"{at}: {key} lists {value!r} twice", value, at)
    return tuple(values)


def _circuits(file: Settings, table: Mapping[str, Any], *, at: str) -> tuple[str, ...]:
    """Names are looked up; files are taken from the plan's own folder."""
    found = []
    for word in _words(file, table, "circuits", None, at=at):
        try:
            circuits.check(word)
        except InputError as error:
            raise file.refuse(f"{at}, circuits: {error}", word, at) from error
        name, variant = variants.parted(word)
        if circuits.is_file(name):
            name = str((file.path.parent / name).resolve())
        found.append(variants.joined(name, variant))
    return tuple(found)


def _seeds(file: Settings, table: Mapping[str, Any], *, at: str) -> tuple[int, ...]:
    """A count n stands for 0 … n-1; a list is taken as it is."""
    value = table["seeds"]
    if type(value) is int and value >= 1:
        return tuple(range(value))
    good = isinstance(value, list) and value and all(type(seed) is int and 0 <= seed < 2**32 for seed in value)
    if not good or len(set(value)) != len(value):
        raise file.refuse(
            f"{at}: seeds is {value!r}, but must be a count of 1 or more, or a list of different seeds below 2^32",
            "seeds",
            at,
        )
    return tuple(value)


def _limits(file: Settings) -> Limits:
    table = file.value(file.data, "limits", dict, at="the plan") or {}
    file.check_keys(table, LIMIT_KEYS, at="[limits]")
    values: dict[str, float] = {}
    for key in table:
        value = file.value(table, key, float, at="[limits]") or 0.0
        if not 0 < value < float("inf"):
            raise file.refuse(f"[limits]: {key} is {table[key]!r}, but must be more than 0 and finite", key, "[limits]")
        values[key] = value
    return Limits(**values)
