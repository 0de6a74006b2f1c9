"""PyBullet with the racecar of its own data package and its software renderer, as its examples set them up."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import numpy as np
import pybullet
import pybullet_data

from benchmarks.peers.simulator import Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUBSTEPS = 8
STEERED, DRIVEN = (4, 6), (2, 3, 5, 7)  # joints of racecar.urdf


class Racecar:
    """It winds its way over PyBullet's chequered plane."""

    def __init__(self) -> None:
        self.setting = Setting(
            f"PyBullet {version('pybullet')}",
            "200x66 RGBA",
            f"1/{240 // SUBSTEPS} s, {SUBSTEPS} physics steps; `racecar.urdf` on `plane.urdf`, TinyRenderer",
        )
        self.over = True
        self._frames = 0
        pybullet.connect(pybullet.DIRECT)
        pybullet.setAdditionalSearchPath(pybullet_data.getDataPath())
        self._projection = pybullet.computeProjectionMatrixFOV(fov=35.0, aspect=200 / 66, nearVal=0.05, farVal=100.0)

    def begin(self, seed: int) -> None:  # noqa: ARG002  nothing here is drawn
        """Put the car at the origin; nothing ends its drive."""
        pybullet.resetSimulation()
        pybullet.setGravity(0.0, 0.0, -9.81)
        pybullet.loadURDF("plane.urdf")
        self._car = pybullet.loadURDF("racecar/racecar.urdf", [0.0, 0.0, 0.1])
        for joint in DRIVEN:
            pybullet.setJointMotorControl2(self._car, joint, pybullet.VELOCITY_CONTROL, targetVelocity=40.0, force=10.0)
        self.over = False

    def decide(self) -> float:
        """A steering angle that swings to and fro [rad]."""
        self._frames += 1
        return 0.3 * math.sin(self._frames / 20.0)

    def step(self, action: float) -> NDArray[np.uint8]:
        """Steer, move, look from above the bonnet."""
        for joint in STEERED:
            pybullet.setJointMotorControl2(self._car, joint, pybullet.POSITION_CONTROL, targetPosition=action)
        for _ in range(SUBSTEPS):
            pybullet.stepSimulation()
        place, turn = pybullet.getBasePositionAndOrientation(self._car)
        axes = np.array(pybullet.getMatrixFromQuaternion(turn)).reshape(3, 3)
        eye = np.array(place) + axes @ (0.3, 0.0, 0.2)
        view = pybullet.computeViewMatrix(eye, eye + axes @ (1.0, 0.0, -0.1), axes[:, 2])
        renderer = pybullet.ER_TINY_RENDERER
        picture = pybullet.getCameraImage(200, 66, view, self._projection, renderer=renderer)[2]
        return cast("NDArray[np.uint8]", picture)
