"""An independent pinhole, and where a picture's rows pass a grey level: what cameras are held against."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from envs.view import FRAME_SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.circuit import Circuit
    from envs.view import CameraGeometry

Floats = npt.NDArray[np.float64]


class Pose(NamedTuple):
    x: float
    y: float
    z: float = 0.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    speed: float = 9.0
    yaw_rate: float = 0.2


def pinhole(points: Floats, pose: Pose, geometry: CameraGeometry) -> Floats:
    """(n, 3) world points to (n, 3) image u, v and depth, by homogeneous matrices; shares nothing with the camera."""

    def rotation(axis: int, angle: float) -> Floats:
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.eye(4)
        matrix[i, i] = matrix[j, j] = math.cos(angle)
        matrix[j, i], matrix[i, j] = math.sin(angle), -math.sin(angle)
        return matrix

    def shift(x: float, y: float, z: float) -> Floats:
        matrix = np.eye(4)
        matrix[:3, 3] = x, y, z
        return matrix

    car = shift(pose.x, pose.y, pose.z) @ rotation(2, pose.yaw) @ rotation(1, pose.pitch) @ rotation(0, pose.roll)
    camera = car @ shift(geometry.forward, geometry.left, geometry.height) @ rotation(1, geometry.tilt)
    camera = camera @ rotation(0, geometry.turn)
    ahead, left, up = (np.linalg.inv(camera) @ np.column_stack([points, np.ones(len(points))]).T)[:3]
    focal = 100.0 / math.tan(geometry.fov / 2.0)
    return np.column_stack([99.5 - focal * left / ahead, 32.5 - focal * up / ahead, ahead])


def edge(found: Circuit, side: float) -> Floats:
    """(n, 3) points of the left (+1) or right (-1) lane edge [m]."""
    places = np.arange(0.0, found.length, 0.05)
    widths = np.interp(places, found.s, found.left if side > 0.0 else found.right, period=found.length)
    return np.array([(*found.pose(float(s), side * w)[:2], 0.0) for s, w in zip(places, widths, strict=True)])


def crossings(row: Floats, level: float) -> Floats:
    """Where a row of the image passes a grey level, to a part of a pixel."""
    above = row > level
    at = np.flatnonzero(above[1:] != above[:-1])
    return np.asarray(at + (level - row[at]) / (row[at + 1] - row[at]))


def rows_crossed(points: Floats, pose: Pose, geometry: CameraGeometry) -> Iterator[tuple[int, float]]:
    """Rows of the picture, and where a line through the points crosses them, from 2.5 to 20 m ahead.

    Places near the picture's border are left out, and those where the line runs along the row.
    """
    u, v, ahead = pinhole(points, pose, geometry).T
    return _crossed(v, u, ahead, FRAME_SHAPE[:2])


def columns_crossed(points: Floats, pose: Pose, geometry: CameraGeometry) -> Iterator[tuple[int, float]]:
    """Columns of the picture, and where a line through the points crosses them; else like `rows_crossed`."""
    u, v, ahead = pinhole(points, pose, geometry).T
    return _crossed(u, v, ahead, FRAME_SHAPE[1::-1])


def _crossed(across: Floats, along: Floats, ahead: Floats, shape: tuple[int, ...]) -> Iterator[tuple[int, float]]:
    near = (ahead > 2.5) & (ahead < 20.0)
    for i in np.flatnonzero(near[1:] & near[:-1]):
        step, drift = across[i + 1] - across[i], along[i + 1] - along[i]
        line = math.floor(max(across[i], across[i + 1]))
        if 0 <= line < shape[0] and line >= min(across[i], across[i + 1]) and abs(drift) <= 4.0 * abs(step):
            at = along[i] + (line - across[i]) / step * drift
            if 5.0 < at < shape[1] - 6.0:
                yield line, float(at)


def distance(row: Floats, at: float, level: float) -> float:
    """From a place in a row to the nearest one where it passes a grey level; infinite where it does not [pixels]."""
    found = crossings(row, level)
    return float(np.abs(found - at).min()) if len(found) else math.inf
