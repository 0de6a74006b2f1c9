"""Markdown as GitHub reads it: tables through pandas and tabulate, and text that cannot break out of its cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

SPECIAL = re.compile(r"([\\|`*\[\]<>])")
"""Characters that would end a cell or start a link, an emphasis, code or a tag."""


def escape(text: str) -> str:
    """The text on one line, with every character of Markdown's own standing for itself."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def bold(text: str) -> str:
    """The text, emphasized."""
    return f"**{text}**"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table whose first `left` columns are texts, aligned left, and whose others are figures, aligned right.

    Cells are taken as they are: texts of unknown origin go through `escape` first.
    """
    frame = pd.DataFrame([list(row) for row in rows], columns=list(headings))
    # "pipe" is GitHub's table with the alignment of columns said; numbers are formatted already and must stay so.
    aligned = ["left"] * left + ["right"] * (len(headings) - left)
    return str(frame.to_markdown(index=False, tablefmt="pipe", disable_numparse=True, colalign=aligned))


def details(summary: str, body: str) -> str:
    """A part that opens on a click."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"
