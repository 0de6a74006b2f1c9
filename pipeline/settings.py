"""A TOML file of ours, read strictly: what it may say is known, and whatever else stands there is refused by place."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

T = TypeVar("T")

HEADER, NAMED, NAME_LINE = re.compile(r"\[[\w.]+\]"), re.compile(r"model '(.*?)'"), re.compile(r"\s*name\s*=")
"""How an error names the table it is about, and how a row of the manifest says its name."""

LARGEST = 10**15
"""Whole numbers below this are taken where a number may have a fraction."""


@dataclass(frozen=True)
class Settings:
    """One TOML file.

    Attributes:
        path: where it is.
        text: what stands there.
        data: the text as TOML reads it.
    """

    path: Path
    text: str
    data: dict[str, Any]

    def refuse(self, message: str, word: str | None = None, at: str = "") -> InputError:
        """The error that says `message` about the line in which `word` stands first within the table that `at` names.

        Where it stands nowhere there, the error is about the whole file.
        """
        return InputError(f"{self.path}{self._line(word, at)}: {message}")

    def check_keys(
        self, table: Mapping[str, Any], known: Collection[str], *, required: Collection[str] = (), at: str
    ) -> None:
        """Refuse a key of `table` that is not known, and a required one that is not there; `at` names the table.

        Raises:
            InputError: naming the key and the nearest known one, or the key that is missing.
        """
        for key in table:
            if key not in known:
                raise self.refuse(f"{at} has an unknown key {key!r}; {nearest(key, known)}", key, at)
        for key in required:
            if key not in table:
                raise self.refuse(f"{at} lacks the key {key!r}; add it")

    def value(self, table: Mapping[str, Any], key: str, kind: type[T], *, at: str) -> T | None:
        """The value of `key` in `table`, None where there is none.

        Raises:
            InputError: the value is of another kind.
        """
        value = table.get(key)
        if value is None:
            return None
        if kind is float and type(value) is int and abs(value) < LARGEST:
            value = float(value)
        if type(value) is not kind:
            raise self.refuse(f"{at}: {key} is {value!r}, but must be {_article(kind)}", key, at)
        return value

    def word(self, value: object, known: Collection[str], *, at: str) -> str:
        """`value`, which must be one of the `known` words.

        Raises:
            InputError: naming the word and the nearest known one.
        """
        if not isinstance(value, str) or value not in known:
            raise self.refuse(f"{at}: unknown word {value!r}; {nearest(str(value), known)}", str(value), at)
        return value

    def _line(self, word: str | None, at: str) -> str:
        """The line in which `word` stands first within the table that `at` names, as ``:7``; empty for none."""
        if not word:
            return ""
        alone = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
        for number, line in self._section(at):
            if alone.search(line.partition("#")[0]):
                return f":{number}"
        return ""

    def _section(self, at: str) -> list[tuple[int, str]]:
        """The numbered lines of one table: ``[header] ...``, ``model 'name' ...``, or all lines for any other `at`."""
        lines = list(enumerate(self.text.splitlines(), 1))
        heads = [index for index, (_, line) in enumerate(lines) if line.lstrip().startswith("[")]
        header, named = HEADER.match(at), NAMED.match(at)
        for head, end in pairwise([*heads, len(lines)]):
            section = lines[head:end]
            if header and section[0][1].strip() == header[0]:
                return section
            if named and any(NAME_LINE.match(line) and f'"{named[1]}"' in line for _, line in section):
                return section
        return lines


def read(path: Path, what: str) -> Settings:
    """The TOML file at `path`; `what` says what the user calls it.

    Raises:
        InputError: the file is missing, cannot be read or is no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path}: the {what} cannot be read: {reason}; give the path of a TOML file") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: the {what} is not TOML: {error}") from error
    return Settings(path, text, data)


def nearest(word: str, known: Collection[str]) -> str:
    """The advice for a word that is not known: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are: {', '.join(sorted(known)) or 'none'}"


def _article(kind: type) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}.get(
        kind, "a table"
    )
