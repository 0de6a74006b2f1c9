"""What there is: the models of a manifest and the circuits, as plain text tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from envs import circuit as known_circuits
from envs.errors import InputError
from pipeline import manifest, settings

if TYPE_CHECKING:
    from pathlib import Path


def models(path: Path) -> tuple[str, list[str]]:
    """The manifest's rows as a table, each artifact checked, and a line for each that cannot be driven.

    Raises:
        InputError: the manifest itself is wrong.
    """
    lines: list[tuple[str, ...]] = []
    wrong = []
    for row in manifest.parse(path):
        problem = manifest.problem_of(row)
        if problem is not None:
            wrong.append(f"{row.name}: {problem}")
        file = row.path if row.path is not None and row.path.is_file() else None
        lines.append(
            (
                row.name,
                "calibrator" if row.calibrator else "model",
                f"{row.runtime} on {row.device}",
                row.precision if file else "",
                f"{file.stat().st_size / 1e6:.3f}" if file else "",
                f"{row.parameters:,}" if row.parameters is not None else "",
                (row.sha256 or "")[:12],
                "ok" if problem is None else "wrong",
                row.description,
            )
        )
    headers = ("name", "kind", "runtime", "precision", "size (MB)", "parameters", "sha256", "artifact", "description")
    return _table(lines, headers), wrong


def circuits(tag: str | None) -> str:
    """The named circuits as a table; with `tag`, those that carry it.

    Raises:
        InputError: no circuit has this tag.
    """
    found = [known_circuits.load(name) for name in known_circuits.names()]
    tags = sorted({word for circuit in found for word in circuit.tags})
    if tag is not None and tag not in tags:
        raise InputError(f"no circuit has the tag {tag!r}; {settings.nearest(tag, tags)}")
    lines: list[tuple[str, ...]] = [
        (
            circuit.name,
            f"{circuit.length:.0f}",
            f"{circuit.smallest_radius:.1f}",
            f"{circuit.width:.1f}",
            ", ".join(circuit.tags),
            circuit.description,
        )
        for circuit in found
        if tag is None or tag in circuit.tags
    ]
    return _table(lines, ("name", "length (m)", "smallest radius (m)", "width (m)", "tags", "description"))


def _table(lines: list[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    numbers = {"size (MB)", "parameters", "length (m)", "smallest radius (m)", "width (m)"}
    align = ["right" if header in numbers else "left" for header in headers]
    return tabulate(lines, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True)
