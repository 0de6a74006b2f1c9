"""Pictures of every circuit, variant and set of conditions, as the camera sees them, on three sheets.

    python -m envs.contact_sheet docs/pictures

Looked at before the conditions were frozen, and whenever the camera changes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from envs import circuit as circuits
from envs import conditions, variants
from envs.camera import GroundCamera
from envs.painting import Painting
from envs.view import FRAME_SHAPE, CameraGeometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envs.circuit import Circuit
    from envs.painting import Image

_LABEL = 14  # height of the strip with a picture's name [pixels]
_COLUMNS = 5
_PLACES = (0.02, 0.3, 0.55, 0.8)  # of a lap, at which a circuit is looked at
_SCENE = ("montreal", 0.18)  # where conditions and variants are looked at: into a bend
_SEED = 3
_STEP = 25
_BACKGROUND = 245


class _Pose(NamedTuple):
    """A car in the middle of a bend."""

    x: float
    y: float
    yaw: float
    z: float = 0.0
    roll: float = 0.004
    pitch: float = 0.002
    speed: float = 11.0
    yaw_rate: float = 0.4


def main(arguments: Sequence[str]) -> int:
    """Write the sheets below the folder that the command line names; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -m envs.contact_sheet FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, cells in (("circuits", of_circuits()), ("conditions", of_conditions()), ("variants", of_variants())):
        path = folder / f"{name}.jpg"
        cv2.imwrite(str(path), sheet(cells)[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 88))
        print(path)
    return 0


def of_circuits() -> list[Image]:
    """A map and four views of each circuit, under nominal conditions."""
    cells = []
    for name in (*circuits.names(), "generated:1", "generated:2"):
        circuit = circuits.load(name)
        painting = Painting(circuit)
        cells.append(labelled(f"{name}, {circuit.length:.0f} m", drawn(circuit)))
        cells += [labelled(f"at {place:.0%}", seen(circuit, painting, place, "nominal")) for place in _PLACES]
    return cells


def of_conditions() -> list[Image]:
    """A view under each set of conditions that shows in a picture, and more draws of the varied ones."""
    circuit = circuits.load(_SCENE[0])
    painting = Painting(circuit)
    plain = seen(circuit, painting, _SCENE[1], "nominal")
    cells = [labelled("nominal", plain)]
    for name in conditions.names():
        picture = seen(circuit, painting, _SCENE[1], name)
        if not np.array_equal(picture, plain):
            cells.append(labelled(name, picture))
        if name == "sun_high":
            draws = [seen(circuit, painting, _SCENE[1], "varied", seed) for seed in range(10, 16)]
            cells += [labelled(f"varied, seed {10 + i}", picture) for i, picture in enumerate(draws)]
    return cells


def of_variants() -> list[Image]:
    """A view of each variant."""
    names = ["", *variants.names()]
    cells = []
    for name in names:
        circuit = circuits.load(variants.JOINT.join(filter(None, (_SCENE[0], name))))
        cells.append(labelled(name or "as it is", seen(circuit, Painting(circuit), _SCENE[1], "nominal")))
    return cells


def seen(circuit: Circuit, painting: Painting, place: float, name: str, seed: int = _SEED) -> Image:
    """What the camera sees at a place of the lap, under a draw of the conditions of that name."""
    drawn_conditions = conditions.draw(name, seed, circuit.name, circuit.direction)
    x, y, heading = circuit.pose(place * circuit.length, drawn_conditions.start_offset)
    geometry = CameraGeometry().moved(drawn_conditions.mount)
    camera = GroundCamera(painting, geometry, drawn_conditions.look)
    return camera.render(_Pose(x, y, heading + drawn_conditions.start_heading), _STEP)


def drawn(circuit: Circuit) -> Image:
    """A map of the circuit, as large as a frame, with a mark at the start."""
    height, width, _ = FRAME_SHAPE
    picture = np.full(FRAME_SHAPE, _BACKGROUND, np.uint8)
    low, high = circuit.points.min(axis=0), circuit.points.max(axis=0)
    scale = min((width - 12) / (high[0] - low[0]), (height - 12) / (high[1] - low[1]))
    places = (circuit.points - (low + high) / 2.0) * scale * (1.0, -1.0) + (width / 2.0, height / 2.0)
    cv2.polylines(picture, [np.round(places * 16.0).astype(np.int32)], True, (70, 70, 76), 2, cv2.LINE_AA, 4)  # noqa: FBT003 - OpenCV's
    cv2.circle(picture, (round(places[0, 0]), round(places[0, 1])), 3, (200, 30, 30), -1, cv2.LINE_AA)
    return picture


def labelled(text: str, picture: Image) -> Image:
    """A picture below a strip with its name."""
    strip = np.full((_LABEL, picture.shape[1], 3), _BACKGROUND, np.uint8)
    cv2.putText(strip, text, (3, _LABEL - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack((strip, picture))


def sheet(cells: Sequence[Image]) -> Image:
    """The pictures in rows of `_COLUMNS`."""
    blank = np.full_like(cells[0], _BACKGROUND)
    filled = [*cells, *[blank] * (-len(cells) % _COLUMNS)]
    return np.vstack([np.hstack(filled[i : i + _COLUMNS]) for i in range(0, len(filled), _COLUMNS)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
