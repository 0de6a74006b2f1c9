"""A second camera: the circuit as a mesh, rendered by PyBullet's own software renderer.

It is there to check the first one against, and to compare costs. It shares nothing with it that decides where a marking
falls in the picture: no painting, no tiles, no homography.
"""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import pybullet

from envs import mesh
from envs.backdrop import Backdrop, seen
from envs.ground import lit
from envs.lens import effects
from envs.noise import NoiseBank
from envs.painting import CHANNELS
from envs.view import FRAME_SHAPE, MIDDLE, Projection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envs.curve import Array
    from envs.look import Look
    from envs.mesh import Faces
    from envs.painting import Image, Painting
    from envs.view import CameraGeometry, Pose, View

_HEIGHT, _WIDTH, _ = FRAME_SHAPE
_NEAR, _FAR = 0.05, 300.0  # depths between which something is seen [m]
_REACH = 110.0  # from the camera to what is put into the scene; haze hides what is beyond 100 m [m]
_CELL = 24.0  # side of the squares whose faces of one colour are one body [m]
_STEP = 8.0  # the scene changes where the camera enters another square of this side [m]


class _Shape(NamedTuple):
    """Faces of one colour in one square.

    Attributes:
        shape: PyBullet's number of the visual shape.
        place: of the square's middle [m].
        stands: whether it is of a wall.
    """

    shape: int
    place: tuple[float, float, float]
    stands: bool


class BulletCamera:
    """A camera above one circuit, under one episode's look, like `GroundCamera`.

    What it leaves out: texture and shadow of the ground, wear of the paint, exposure time. Each pixel is one sample.
    What lies over the picture, and sky and haze, are those of `GroundCamera`.

    Args:
        painting: of the circuit; only the circuit itself is taken from it.
        geometry: of the camera.
        look: of the episode.
    """

    def __init__(self, painting: Painting, geometry: CameraGeometry, look: Look) -> None:
        cv2.setNumThreads(1)  # OpenCV must not cut its work by the number of cores
        self.geometry = geometry
        self._projection = Projection(geometry)
        self._lens = _lens(geometry)
        self._fog = look.fog
        self._backdrop = Backdrop(look, painting.ground, geometry)
        self._ground = np.append(np.rint(lit(painting.ground, look.light)), 0).astype(np.uint8)
        self._effects = effects(look, geometry)
        self._noise = NoiseBank(look.noise)
        self._client: int = pybullet.connect(pybullet.DIRECT)
        weakref.finalize(self, pybullet.disconnect, self._client)
        self._shapes = [
            *self._shaped(mesh.road(painting.circuit, look.light), stands=False),
            *self._shaped(mesh.walls(painting.circuit, look), stands=True),
        ]
        self._places = np.array([shape.place[:2] for shape in self._shapes])
        self._bodies: dict[int, int] = {}
        self._at: tuple[int, int] | None = None

    def render(self, pose: Pose, step: int) -> Image:
        """What the camera sees.

        Args:
            pose: of the car.
            step: of the episode, not negative; it chooses the sensor's noise and the drops on the lens.

        Returns:
            `FRAME_SHAPE` uint8 RGB, a new array.
        """
        view = self._projection.view(pose)
        self._move_to(view.x, view.y)
        canvas, body, depth = self._rendered(view)
        canvas[body < 0] = self._ground
        standing = np.isin(body, [self._bodies[k] for k in self._bodies if self._shapes[k].stands])
        wall = canvas[standing, :3]
        self._backdrop.paint(canvas, 0, view)
        distance = _FAR * _NEAR / (_FAR - (_FAR - _NEAR) * depth[standing].astype(np.float64))
        share = seen(distance, self._fog, self.geometry)[:, None]
        canvas[standing, :3] = np.rint(self._backdrop.haze + share * (wall - self._backdrop.haze))
        frame = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGBA2RGB), np.uint8)
        for effect in self._effects:
            effect.apply(frame, view, step)
        self._noise.add(frame, step)
        return frame

    def _rendered(self, view: View) -> tuple[Image, Array, Array]:
        """(66, 200, CHANNELS) colours, (66, 200) number of the body or -1, and (66, 200) OpenGL's depth."""
        axes = _axes(view) * ((1.0,), (-1.0,), (-1.0,))  # OpenGL's: right, up, back
        place = np.eye(4)
        place[:3, :3], place[:3, 3] = axes, -axes @ (view.x, view.y, view.z)
        _, _, colours, depth, body = pybullet.getCameraImage(
            _WIDTH,
            _HEIGHT,
            viewMatrix=place.T.ravel().tolist(),
            projectionMatrix=self._lens,
            shadow=0,
            lightAmbientCoeff=1.0,
            lightDiffuseCoeff=0.0,
            lightSpecularCoeff=0.0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        return (
            np.array(colours, np.uint8).reshape(_HEIGHT, _WIDTH, CHANNELS),
            np.asarray(body).reshape(_HEIGHT, _WIDTH),
            np.asarray(depth).reshape(_HEIGHT, _WIDTH),
        )

    def _move_to(self, x: float, y: float) -> None:
        """Have in the scene what is near the square in which (x, y) [m] lies, and nothing else."""
        at = (math.floor(x / _STEP), math.floor(y / _STEP))
        if at == self._at:
            return
        self._at = at
        away = np.hypot(*(self._places - (np.array(at) + 0.5) * _STEP).T)
        near = set(np.flatnonzero(away < _REACH + _CELL).tolist())
        for k in self._bodies.keys() - near:
            pybullet.removeBody(self._bodies.pop(k), physicsClientId=self._client)
        for k in sorted(near - self._bodies.keys()):
            shape = self._shapes[k]
            self._bodies[k] = pybullet.createMultiBody(
                baseVisualShapeIndex=shape.shape, basePosition=shape.place, physicsClientId=self._client
            )

    def _shaped(self, faces: Faces, *, stands: bool) -> Iterator[_Shape]:
        """Visual shapes of all faces, one for each colour in each square."""
        cells = np.floor(faces.corners[:, 0, :2] / _CELL)
        kinds, kind = np.unique(np.hstack((cells, faces.colours)), axis=0, return_inverse=True)
        for k, (column, row, *colour) in enumerate(kinds.tolist()):
            place = ((column + 0.5) * _CELL, (row + 0.5) * _CELL, 0.0)
            corners = (faces.corners[kind == k] - place).reshape(-1, 3)
            first = np.arange(0, len(corners), 4)[:, None]
            shape = pybullet.createVisualShape(
                pybullet.GEOM_MESH,
                vertices=corners.tolist(),
                indices=(first + np.array([0, 1, 2, 0, 2, 3])).ravel().tolist(),
                normals=[(0.0, 0.0, 1.0)] * len(corners),  # not used: there is but ambient light
                rgbaColor=[*((round(part) + 0.5) / 255.0 for part in colour), 1.0],  # it is cut, not rounded
                physicsClientId=self._client,
            )
            yield _Shape(shape, place, stands)


def _axes(view: View) -> Array:
    """(3, 3) unit vectors in the world's axes: the image's right, its down, and the optical axis."""
    rays = np.array((view.east, view.north, view.sink))
    rays[2] *= -1.0
    right, down, corner = rays.T
    pixel = math.hypot(*right.tolist())
    return np.array((right / pixel, down / pixel, corner + MIDDLE[0] * right + MIDDLE[1] * down))


def _lens(geometry: CameraGeometry) -> list[float]:
    """OpenGL's projection matrix, column by column.

    The renderer samples column u at u, and row v at v + 1, of a picture whose borders are at 0 and its width or height.
    """
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[0, 2] = 2.0 * geometry.focal / _WIDTH, 1.0 - 2.0 * MIDDLE[0] / _WIDTH
    matrix[1, 1], matrix[1, 2] = 2.0 * geometry.focal / _HEIGHT, 2.0 * (MIDDLE[1] + 1.0) / _HEIGHT - 1.0
    matrix[2, 2:] = (_FAR + _NEAR) / (_NEAR - _FAR), 2.0 * _FAR * _NEAR / (_NEAR - _FAR)
    matrix[3, 2] = -1.0
    return [float(part) for part in matrix.T.ravel()]
