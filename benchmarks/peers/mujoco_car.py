"""MuJoCo with a car of our own and its OpenGL renderer, which runs in software here."""

from __future__ import annotations

import math
import os
from ctypes.util import find_library
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.simulator import Setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL = Path(__file__).with_name("mujoco_car.xml")
SUBSTEPS = 12
SPEED = 30.0  # of the driven wheels [rad/s]


class MujocoCar:
    """It winds its way over a chequered plane.

    Raises:
        OSError: there is no software OpenGL.
    """

    def __init__(self) -> None:
        # OSMesa first: on one core it is the faster one. MuJoCo takes its choice from the environment alone.
        library = next((name for name in ("OSMesa", "EGL") if find_library(name)), None)
        if library is None:
            raise OSError("no software OpenGL: install Debian's libosmesa6 or libegl1 and libgl1-mesa-dri")
        os.environ["MUJOCO_GL"] = library.lower()
        import mujoco  # noqa: PLC0415  it reads the choice when it is imported

        self.setting = Setting(
            f"MuJoCo {version('mujoco')}",
            "200x66 RGB",
            f"1/{240 // SUBSTEPS} s, {SUBSTEPS} physics steps; a car of ours, {library}, no shadows, no multisampling",
        )
        self.over = True
        self._frames = 0
        self._mujoco = mujoco
        self._model = mujoco.MjModel.from_xml_path(str(MODEL))
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, height=66, width=200)

    def begin(self, seed: int) -> None:  # noqa: ARG002  nothing here is drawn
        """Put the car at the origin; nothing ends its drive."""
        self._mujoco.mj_resetData(self._model, self._data)
        self.over = False

    def decide(self) -> tuple[float, float, float, float]:
        """A steering angle that swings to and fro [rad] and a steady speed of the wheels [rad/s]."""
        self._frames += 1
        angle = 0.2 * math.sin(self._frames / 20.0)
        return angle, angle, SPEED, SPEED

    def step(self, action: tuple[float, float, float, float]) -> NDArray[np.uint8]:
        """Move and look."""
        self._data.ctrl[:] = action
        self._mujoco.mj_step(self._model, self._data, SUBSTEPS)
        self._renderer.update_scene(self._data, camera="front")
        picture: NDArray[np.uint8] = self._renderer.render()
        return picture
