"""What every contestant is: a class like this protocol, in a module of its own that imports what it needs.

A contestant drives; only its `step` is timed, so that deciding where to steer and starting anew cost nobody anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections import Counter

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Setting:
    """How a contestant is set up.

    Attributes:
        version: package and version.
        image: size and kind of the picture of a frame.
        frame: what a frame is: simulated time, physics steps, the scene, and whatever differs from the defaults.
    """

    version: str
    image: str
    frame: str


class Simulator(Protocol):
    """A simulator that is driven.

    Attributes:
        setting: how it is set up.
        over: whether the episode is over.
    """

    setting: Setting
    over: bool

    def begin(self, seed: int) -> None:
        """Start an episode."""

    def decide(self) -> Any:
        """The next action; it really drives."""

    def step(self, action: Any) -> NDArray[np.uint8]:
        """Drive for one frame and give its picture."""


@runtime_checkable
class Split(Protocol):
    """A simulator that says where the time of its steps went."""

    def parts(self) -> Counter[str]:
        """Wall time inside all steps so far by part [ns]."""


class Contestant(NamedTuple):
    """A row of the comparison.

    Attributes:
        name: as the table calls it.
        place: of the class, "module:class".
        role: whose environment it runs in, as in `pipeline.interpreters.LOCKS`.
    """

    name: str
    place: str
    role: str


OURS = "hotlap"
CONTESTANTS = (
    Contestant(OURS, "benchmarks.peers.hotlap:Hotlap", "world"),
    Contestant("hotlap, PyBullet's renderer", "benchmarks.peers.hotlap:HotlapInBullet", "world"),
    Contestant("PyBullet racecar", "benchmarks.peers.racecar:Racecar", "peers"),
    Contestant("Gymnasium CarRacing", "benchmarks.peers.car_racing:CarRacing", "peers"),
    Contestant("highway-env racetrack", "benchmarks.peers.racetrack:Racetrack", "peers"),
    Contestant("MuJoCo", "benchmarks.peers.mujoco_car:MujocoCar", "peers"),
)
