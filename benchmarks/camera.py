"""What a camera frame costs, and how close it comes to a picture sampled to exhaustion.

    python -m benchmarks.camera
    python -m benchmarks.camera --quality

One core, one process, a lap of each benchmark circuit at half a metre a frame (10 m/s at 20 Hz), sensor noise and
texture included. The first lap paints; the later ones find the tiles painted.
"""

from __future__ import annotations

import argparse
import math
from time import perf_counter_ns
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from envs import circuit as circuits
from envs.camera import FRAME_SHAPE, CameraGeometry, GroundCamera
from envs.conditions import draw
from envs.ground import Ground
from envs.look import Look, Texture
from envs.painting import TEXEL, TILE, Painting
from envs.view import view_of

Floats = npt.NDArray[np.float64]
ACROSS, ALONG = 4, 48  # samples per pixel of the exhaustive picture


class Pose(NamedTuple):
    """Where the car is [m], [rad], and how it moves [m/s], [rad/s]."""

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    speed: float = 10.0
    yaw_rate: float = 0.0


def lap(circuit: circuits.Circuit, step: float) -> list[Pose]:
    """Poses along a lap that roll and pitch as a car does."""
    places = enumerate(np.arange(0.0, circuit.length, step))
    return [
        Pose(x, y, 0.0, 0.01 * math.sin(0.3 * i), 0.005 * math.cos(0.2 * i), heading)
        for i, (x, y, heading) in ((i, circuit.pose(float(s))) for i, s in places)
    ]


def print_times() -> None:
    """A row for each benchmark circuit [us]."""
    print(f"{'circuit':14}{'set up':>9}{'first lap':>11}{'mean':>9}{'p50':>9}{'p95':>9}{'max':>9}   [us]")
    for name in circuits.names("benchmark"):
        circuit = circuits.load(name)
        poses = lap(circuit, 0.5)
        began = perf_counter_ns()
        camera = GroundCamera(Painting(circuit), CameraGeometry(), draw("nominal", 0, name, "forward").look)
        times = [(perf_counter_ns() - began) / 1e3]
        for step, pose in enumerate(poses * 2):
            began = perf_counter_ns()
            camera.render(pose, step)
            times.append((perf_counter_ns() - began) / 1e3)
        first, second = np.array(times[1 : len(poses) + 1]), np.array(times[len(poses) + 1 :])
        p50, p95 = np.quantile(second, [0.5, 0.95])
        print(
            f"{name:14}{times[0]:9.0f}{first.mean():11.0f}{second.mean():9.0f}{p50:9.0f}{p95:9.0f}{second.max():9.0f}"
        )


def print_quality() -> None:
    """Root mean square difference from the exhaustive picture, row by row from the horizon down."""
    circuit = circuits.load("many_curves")
    look = Look(texture=Texture(3, 0.05))
    camera = GroundCamera(Painting(circuit), CameraGeometry(), look)
    mosaic, corner = painted_whole(circuit, look)
    squares = []
    for pose in lap(circuit, 31.0):
        exact = exhaustive(pose, camera.geometry, mosaic, corner)
        squares.append((camera.render(pose, 0) - exact) ** 2)
    rows = np.sqrt(np.mean(squares, axis=(0, 2, 3)))[26:]
    print(
        f"RMS below the horizon, {len(squares)} frames: {math.sqrt(np.mean(rows**2)):.2f} grey levels; by row from 26:"
    )
    print(" ".join(f"{value:.1f}" for value in rows))


def painted_whole(circuit: circuits.Circuit, look: Look) -> tuple[npt.NDArray[np.uint8], Floats]:
    """The finest level of a whole circuit and 130 m around it, and its corner [m]."""
    side = TILE * TEXEL
    first = np.floor((circuit.points.min(axis=0) - 130.0) / side).astype(int)
    last = np.ceil((circuit.points.max(axis=0) + 130.0) / side).astype(int)
    ground = Ground(Painting(circuit), look, levels=1)
    columns = range(first[0], last[0])
    rows = [
        np.concatenate([ground.window(0, c, r)[:TILE, :TILE].copy() for c in columns], 1)
        for r in range(first[1], last[1])
    ]
    return np.concatenate(rows), first * side


def exhaustive(pose: Pose, geometry: CameraGeometry, mosaic: npt.NDArray[np.uint8], corner: Floats) -> Floats:
    """A frame with `ACROSS` x `ALONG` samples of the finest level in every pixel; the sky is black."""
    view = view_of(pose, geometry)
    height, width, _ = FRAME_SHAPE
    v = (np.arange(height * ALONG)[:, None] + 0.5) / ALONG - 0.5
    total = np.zeros(FRAME_SHAPE)
    for i in range(ACROSS):
        u = np.arange(width)[None, :] + (i + 0.5) / ACROSS - 0.5
        east, north, sink = (a * u + b * v + c for a, b, c in (view.east, view.north, view.sink))
        sink = np.where(sink > 1e-3, sink, np.inf)
        x = (view.x + view.z * east / sink - corner[0]) / TEXEL - 0.5
        y = (view.y + view.z * north / sink - corner[1]) / TEXEL - 0.5
        image = cv2.remap(mosaic, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
        total += image[..., :3].reshape(height, ALONG, width, 3).mean(axis=1) / ACROSS
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", action="store_true", help="compare frames with an exhaustive picture instead")
    (print_quality if parser.parse_args().quality else print_times)()


if __name__ == "__main__":
    main()
