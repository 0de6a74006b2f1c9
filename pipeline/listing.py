"""What there is: the models of a manifest, the circuits and their variants, as plain text tables; and maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from envs import circuit as known_circuits
from envs import drawing
from envs import variants as known_variants
from envs.errors import InputError
from pipeline import manifest, settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from envs.circuit import Circuit


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
                f"{(row.size_bytes or 0) / 1e6:.3f}" if file else "",
                f"{row.parameters:,}" if row.parameters is not None else "",
                (row.sha256 or "")[:12],
                "ok" if problem is None else "wrong",
                row.description,
            )
        )
    headers = ("name", "kind", "runtime", "precision", "size (MB)", "parameters", "sha256", "artifact", "description")
    return _table(lines, headers), wrong


def circuits(asked: Sequence[str], tag: str | None) -> list[Circuit]:
    """The circuits that are asked for, all that have names if none is; with `tag`, those of them that carry it.

    Raises:
        InputError: one is not there or no road, or no circuit has this tag.
    """
    found = [known_circuits.load(name) for name in asked or known_circuits.names()]
    tags = sorted({word for circuit in found for word in circuit.tags})
    if tag is not None and tag not in tags:
        raise InputError(f"no circuit has the tag {tag!r}; {settings.nearest(tag, tags)}")
    return [circuit for circuit in found if tag is None or tag in circuit.tags]


def table(found: Sequence[Circuit]) -> str:
    """Circuits as a table, and a line for each whose lane had to be narrowed."""
    lines = [
        (
            circuit.name,
            f"{circuit.length:.0f}",
            f"{circuit.smallest_radius:.1f}",
            _span(circuit.left + circuit.right),
            ", ".join(circuit.tags),
            circuit.description,
        )
        for circuit in found
    ]
    notes = [f"{circuit.name}: {circuit.note}" for circuit in found if circuit.note]
    headers = ("name", "length (m)", "smallest radius (m)", "width (m)", "tags", "description")
    return "\n".join([_table(lines, headers), *notes])


def variants() -> str:
    """The variants as a table."""
    return _table(
        [(name, known_variants.description(name)) for name in known_variants.names()], ("name", "description")
    )


def maps(found: Sequence[Circuit], folder: Path) -> list[Path]:
    """Write one SVG map of each circuit into a folder; returns the files.

    Raises:
        InputError: the folder cannot be written.
    """
    files = [folder / f"{circuit.name.replace(':', '-')}.svg" for circuit in found]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, circuit in zip(files, found, strict=True):
            file.write_text(drawing.svg(circuit), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: no maps can be written there: {error.strerror}; name another folder") from error
    return files


def _span(values: NDArray[np.float64]) -> str:
    """The smallest and the largest of some values, one number where they look alike."""
    low, high = f"{values.min():.1f}", f"{values.max():.1f}"
    return low if low == high else f"{low}-{high}"


def _table(lines: Sequence[tuple[str, ...]], headers: tuple[str, ...]) -> str:
    numbers = {"size (MB)", "parameters", "length (m)", "smallest radius (m)", "width (m)"}
    align = ["right" if header in numbers else "left" for header in headers]
    return tabulate(lines, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True)
