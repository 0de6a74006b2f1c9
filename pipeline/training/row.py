"""The row that training writes into a manifest, in place of the row of the same name; all other text stays as it is.

Done on the text with the standard library: the interpreter that trains has no package that writes TOML.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE = "[[model]]"

Value = str | int | float | bool


def write(manifest: Path, row: Mapping[str, Value]) -> None:
    """Put `row` into the manifest, atomically; a manifest that is not there is made.

    Args:
        manifest: path of the manifest.
        row: must hold ``name``.

    Raises:
        InputError: the manifest cannot be read or written, or is no TOML.
    """
    try:
        text = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{manifest}: cannot read the manifest: {error}; repair or remove it") from error
    after = replaced(text, row, str(manifest))
    partial = manifest.with_name(manifest.name + ".partial")
    try:
        partial.write_text(after, encoding="utf-8")
        partial.replace(manifest)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{manifest}: cannot write the manifest: {error.strerror}; choose another --out") from error


def replaced(text: str, row: Mapping[str, Value], where: str) -> str:
    """The manifest `text` with `row` in it.

    Raises:
        InputError: the text is no TOML, or not one that lists models as ``[[model]]`` tables.
    """
    before = _models(text, where)
    # Each block is one table with the blank lines and comments below it; the first is what stands above all tables.
    head, *blocks = re.split(r"(?m)^(?=\[\[model\]\])", text)
    names = [model.get("name") for model in before]
    if len(blocks) != len(before):
        raise InputError(f"{where}: write each model as a table below a line {TABLE}; then train again")
    block = block_of(row)
    if row["name"] in names:
        at = names.index(row["name"])
        blocks[at] = block + ("\n" if at + 1 < len(blocks) else "")
    else:
        separator = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        blocks.append(separator + block)
    after = head + "".join(blocks)
    expected = [dict(row) if model.get("name") == row["name"] else model for model in before]
    if row["name"] not in names:
        expected.append(dict(row))
    if _models(after, where) != expected:
        raise InputError(f"{where}: the rows cannot be told apart; write each model below a line {TABLE} of its own")
    return after


def block_of(row: Mapping[str, Value]) -> str:
    """The row as a TOML table."""
    return "\n".join([TABLE, *(f"{key} = {_literal(value)}" for key, value in row.items())]) + "\n"


def _literal(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if not value.isprintable():
            raise InputError(f"{value!r} cannot stand in a manifest: it has characters that do not print")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def _models(text: str, where: str) -> list[dict[str, Any]]:
    try:
        models = tomllib.loads(text).get("model", [])
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: the manifest is not TOML: {error}; repair it") from error
    return list(models) if isinstance(models, list) else []
