"""The world: one car on one circuit under one draw of conditions, seen by one camera and followed by the judge.

A step is `advance`, `judge`, `look`, in that order.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import pybullet

from envs.camera import GroundCamera
from envs.car import CONTROL_HZ, Car, CarState, connect
from envs.car_parameters import CarParameters
from envs.painting import Painting
from envs.progress import Judge, Limits, Progress, ProgressState
from envs.true_state import Outlook, TrueState
from envs.view import CameraGeometry

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from envs.circuit import Circuit
    from envs.command import Command
    from envs.conditions import Conditions
    from envs.look import Look
    from envs.view import Pose


START_MARGIN = 0.3
"""A car is put down at least so far from the lane's edges [m]."""


class Camera(Protocol):
    """What a world needs of a camera; a frame is a pure function of (pose, step)."""

    def render(self, pose: Pose, step: int) -> NDArray[np.uint8]:
        """What it sees, (66, 200, 3) uint8 RGB, a new array."""
        ...


class Observation(NamedTuple):
    """What there is to see and to know after a step.

    Attributes:
        frame: (66, 200, 3) uint8 RGB; None in a world without a camera.
        car: where the car is.
        progress: where that is on the circuit.
    """

    frame: NDArray[np.uint8] | None
    car: CarState
    progress: ProgressState


class StepResult(NamedTuple):
    """What a step led to.

    Attributes:
        observation: after the step.
        outcome: completed, left_lane, stalled or timeout; None while the case goes on.
    """

    observation: Observation
    outcome: str | None


class World:
    """A world for any number of episodes under the same conditions; each is the same as the first.

    `reset` starts an episode in a physics engine of its own; before it there is nothing to ask. A context manager: it
    lets go of the engine at the end.

    Args:
        circuit: to be driven, in the direction in which it faces.
        conditions: of every episode.
        limits: of the judge's patience.
        painting: of this circuit, to share one between worlds; painted here if not given.
        camera: makes the camera of a painting, geometry and look; None leaves the frames out, for whoever needs none.
        parameters: of the car.

    Attributes:
        car_state: where the car is.
        progress: where that is on the circuit.
        outcome: completed, left_lane, stalled or timeout; None while the case goes on.
        step_index: control steps since the episode's start.
        split_ns: wall time of the episode's steps by part [ns]; a diagnostic, nothing depends on it.
    """

    def __init__(
        self,
        circuit: Circuit,
        conditions: Conditions,
        limits: Limits | None = None,
        painting: Painting | None = None,
        *,
        camera: Callable[[Painting, CameraGeometry, Look], Camera] | None = GroundCamera,
        parameters: CarParameters | None = None,
    ) -> None:
        self.circuit = circuit
        self.conditions = conditions
        self.limits = limits or Limits()
        self._parameters = parameters or CarParameters()
        self._outlook = Outlook(circuit)
        geometry = CameraGeometry().moved(conditions.mount)
        self._camera = camera(painting or Painting(circuit), geometry, conditions.look) if camera else None
        self._client: int | None = None
        self._frame: NDArray[np.uint8] | None = None

    def reset(self) -> Observation:
        """Start an episode: the car stands where the conditions say, within the lane."""
        self.close()
        self._client = connect(self._parameters)
        self._car = Car(self._client, self._parameters, self.conditions.grip, self.conditions.steering_play)
        x, y, heading = self._start()
        self._car.place(x, y, heading + self.conditions.start_heading)
        self._progress = Progress(self.circuit, x, y)
        self._judge = Judge(self.circuit.length, self.limits)
        self.step_index = 0
        self.split_ns = {"physics": 0, "judge": 0, "camera": 0}
        self.judge()
        self.look()
        return Observation(self._frame, self.car_state, self.progress)

    def step(self, command: Command) -> StepResult:
        """Drive for one control step, 1/20 s.

        Raises:
            RuntimeError: the episode is over, or none has begun.
            ValueError: a part of the command is not a number.
        """
        began = perf_counter_ns()
        self.advance(command)
        moved = perf_counter_ns()
        self.judge()
        judged = perf_counter_ns()
        self.look()
        seen = perf_counter_ns()
        self.split_ns["physics"] += moved - began
        self.split_ns["judge"] += judged - moved
        self.split_ns["camera"] += seen - judged
        return StepResult(Observation(self._frame, self.car_state, self.progress), self.outcome)

    def advance(self, command: Command) -> None:
        """First part of a step: the car moves."""
        if self._client is None or self.outcome is not None:
            state = "has not begun" if self._client is None else f"is over ({self.outcome})"
            raise RuntimeError(f"the episode {state}: call reset() first")
        self._car.apply(command)
        self._car.push(self.conditions.pushes.at(self.step_index))
        self._car.step()
        self.step_index += 1

    def judge(self) -> None:
        """Second part of a step: where the car is now, and whether the case is over."""
        self.car_state = self._car.state()
        self.progress = self._progress.update(self.car_state.x, self.car_state.y, self.car_state.yaw)
        self.outcome = self._judge.outcome(self.progress, self.time)

    def look(self) -> None:
        """Third part of a step: the camera's frame, or the last one once more where this one is lost; a new array."""
        if self._camera is None:
            return
        if self._frame is not None and self.conditions.loss.at(self.step_index):
            self._frame = self._frame.copy()
        else:
            self._frame = self._camera.render(self.car_state, self.step_index)

    def _start(self) -> tuple[float, float, float]:
        """Where the car is put down: beside the centreline as the conditions say, but within the lane."""
        circuit, along = self.circuit, self.conditions.start_fraction * self.circuit.length
        beside = int(along / circuit.step) % len(circuit.points)
        most_left, most_right = (float(side[beside]) - START_MARGIN for side in (circuit.left, circuit.right))
        return circuit.pose(along, min(most_left, max(-most_right, self.conditions.start_offset)))

    @property
    def time(self) -> float:
        """Simulated time since the episode's start [s]."""
        return self.step_index / CONTROL_HZ

    @property
    def frame(self) -> NDArray[np.uint8]:
        """What the camera sees, (66, 200, 3) uint8 RGB.

        Raises:
            RuntimeError: this world has no camera, or no episode has begun.
        """
        if self._frame is None:
            raise RuntimeError("there is no frame: build the world with camera=True and call reset() first")
        return self._frame

    @property
    def true_state(self) -> TrueState:
        """What the oracle may know; worked out when asked for."""
        return self._outlook.state(self.car_state, self.progress)

    def close(self) -> None:
        """Let go of the physics engine; a later `reset` starts a new one."""
        if self._client is not None:
            pybullet.disconnect(self._client)
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
