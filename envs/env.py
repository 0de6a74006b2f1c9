"""The Gymnasium environment.

Importing this module registers `hotlap/<Circuit>-v0` for every named circuit, and `hotlap/Lap-v0`, which is told its
circuit: `gymnasium.make("hotlap/Lap-v0", circuit="generated:7+wall")`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from envs import circuit as circuits
from envs import conditions as draws
from envs.camera import FRAME_SHAPE
from envs.car import CONTROL_HZ
from envs.chase_view import ChaseView
from envs.command import Command
from envs.errors import InputError
from envs.map_view import MapView
from envs.painting import Painting
from envs.progress import TIMEOUT
from envs.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

RENDER_MODES = ("rgb_array",)

Viewpoint = Literal["camera", "chase", "map"]


class HotlapEnv(gymnasium.Env[Any, Any]):
    """One lap of one circuit, seen by the car's camera.

    Observation: the frame, (66, 200, 3) uint8 RGB. Action: (speed, steering), each in [-1, 1], as `envs.command` says.
    Reward: centreline metres won in the step [m]. Terminated: completed, left_lane or stalled. Truncated: timeout.
    `info` holds `outcome`, None while the lap goes on, and `true_state`, for an oracle alone, an
    `envs.true_state.TrueState`; a vector environment gives an array of them, one for each lap.

    Each reset draws new conditions from the environment's own random stream; a seed starts that stream anew.

    Args:
        circuit: what `envs.circuit.load` takes: a name, a file's path or `generated:SEED`, with `+VARIANT` or without.
        direction: "forward" or "reverse".
        conditions: name of a set in `conditions.toml`.
        render_mode: None or "rgb_array"; pictures cost time only when `render` is called.
        view: what they show: "chase", the car from behind and above, (360, 640, 3); "map", the circuit from above with
            the way driven, (540, 720, 3); or "camera", the frame that is observed, (66, 200, 3). All uint8 RGB.

    Raises:
        InputError: one of these is not known.
    """

    metadata: dict[str, Any] = {"render_modes": list(RENDER_MODES), "render_fps": CONTROL_HZ}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        circuit: str = "simple",
        direction: circuits.Direction = "forward",
        conditions: str = "nominal",
        render_mode: str | None = None,
        view: Viewpoint = "chase",
    ) -> None:
        _expect("direction", direction, get_args(circuits.Direction))
        _expect("conditions", conditions, draws.names())
        _expect("render_mode", render_mode, (None, *RENDER_MODES))
        _expect("view", view, get_args(Viewpoint))
        self.render_mode = render_mode
        self.observation_space = Box(0, 255, FRAME_SHAPE, np.uint8)
        self.action_space = Box(-1.0, 1.0, (2,), np.float32)
        self._circuit = circuits.load(circuit).facing(direction)
        self._conditions = conditions
        self._painting = Painting(self._circuit)
        self._world: World | None = None
        self._viewpoint = view
        self._way: list[tuple[float, float]] = []
        self._map: MapView | None = None
        self._chase: ChaseView | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start a lap under newly drawn conditions; `options` is not used."""
        super().reset(seed=seed, options=options)
        drawn = draws.draw(
            self._conditions, int(self.np_random.integers(2**31)), self._circuit.name, self._circuit.direction
        )
        self.close()
        self._world = World(self._circuit, drawn, painting=self._painting)
        car = self._world.reset().car
        self._way = [(car.x, car.y)]
        return self._world.frame, self._info(self._world)

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Drive for one control step, 1/20 s.

        Raises:
            RuntimeError: the lap is over, or none has begun.
            ValueError: the action is not two finite numbers.
        """
        world = self.world
        speed, steering = (float(part) for part in action)
        before = world.progress.distance
        car = world.step(Command(speed, steering)).observation.car
        self._way.append((car.x, car.y))
        over = world.outcome is not None
        truncated = world.outcome == TIMEOUT
        won = world.progress.distance - before
        return world.frame, won, over and not truncated, truncated, self._info(world)

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the view asked for, (height, width, 3) uint8 RGB, a new array; None without a render mode.

        Raises:
            RuntimeError: no lap has begun.
        """
        world = self.world
        if self.render_mode is None:
            return None
        if self._viewpoint == "camera":
            return world.frame.copy()
        if self._viewpoint == "map":
            self._map = self._map or MapView(self._circuit)
            return self._map.picture(world.car_state, self._way)
        self._chase = self._chase or ChaseView(self._painting, world.conditions.look)
        return self._chase.picture(world.car_state)

    def close(self) -> None:
        """Let go of the physics engine."""
        if self._world is not None:
            self._world.close()
            self._world = self._chase = None

    @property
    def world(self) -> World:
        """The world of the lap that is being driven; each lap has its own.

        Raises:
            RuntimeError: no lap has begun.
        """
        if self._world is None:
            raise RuntimeError("no lap has begun: call reset() first")
        return self._world

    @staticmethod
    def _info(world: World) -> dict[str, Any]:
        return {"true_state": world.true_state, "outcome": world.outcome}


def identifier(circuit: str) -> str:
    """Gymnasium's name for the environment of a named circuit: "many_curves" is "hotlap/ManyCurves-v0"."""
    return f"hotlap/{''.join(word.capitalize() for word in circuit.split('_'))}-v0"


def _expect(what: str, value: str | None, known: tuple[str | None, ...]) -> None:
    if value not in known:
        raise InputError(f"the environment's {what} is {value!r}: give one of {', '.join(map(repr, known))}")


gymnasium.register(id="hotlap/Lap-v0", entry_point="envs.env:HotlapEnv")
for _name in circuits.names():
    gymnasium.register(id=identifier(_name), entry_point="envs.env:HotlapEnv", kwargs={"circuit": _name})
