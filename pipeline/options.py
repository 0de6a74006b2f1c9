"""Options that several commands share, and what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

EXECUTORS = ("auto", "local", "docker")

plan = click.option(
    "--plan", default="quick", metavar="NAME|FILE", help="quick (default), compare, full, ci, or a file."
)
executor = click.option(
    "--executor",
    type=click.Choice(EXECUTORS),
    default="auto",
    show_default=True,
    help="docker: pinned containers. local: plain processes. auto: docker where a daemon answers.",
)
models = click.option(
    "--models", "-m", multiple=True, metavar="NAME", help="Only these models, comma-separated or repeated."
)
results = click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR", help="Where records and the table are (results/)."
)
weights = click.option(
    "--weights", type=click.Path(path_type=Path), metavar="FILE", help="The model manifest (weights/manifest.toml)."
)


def names(values: tuple[str, ...]) -> tuple[str, ...]:
    """The names in a repeatable option, each value of which may list several with commas."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def manifest(path: Path | None) -> dict[str, Any]:
    """The manifest as an argument, if one was given."""
    return {} if path is None else {"weights": path}
