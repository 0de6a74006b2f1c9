"""One episode: the world asks, the driver answers, until the judge or a fault ends it. Its facts are what remains."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from envs.car import CONTROL_HZ
from envs.circuit import Source, read
from envs.conditions import Conditions
from envs.painting import Painting
from envs.progress import Limits
from envs.world import World
from pipeline.link import outcome_of
from pipeline.protocol import DeadlineError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from envs.circuit import Circuit
    from pipeline.link import DriverFault, Reply

PATH_STEP = 1.0
"""The driven path is kept at each whole multiple of this much new centreline distance [m]."""

PROGRESS_S = 0.5
"""The shortest time between two calls of `on_progress` [s]."""


class Asked(Protocol):
    """What an episode needs of a driver: `pipeline.link.Link`, or anything like it without a socket."""

    def reset(self, episode: int) -> None:
        """Make ready for an episode."""
        ...

    def ask(self, step: int, frame: NDArray[np.uint8], state: bytes = b"") -> Reply:
        """Answer one frame."""
        ...


class Row(NamedTuple):
    """One control step: the command, and the car after it. The trace keeps these as columns, in this order."""

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    speed: float
    steering: float
    s: float
    distance: float
    offset: float
    heading_error: float
    command_speed: float
    command_steering: float
    round_trip_ns: int
    inference_ns: int


@dataclass
class Log:
    """What is noted down while an episode runs.

    Attributes:
        start: (distance, offset, speed, heading error) before the first command.
        s0: place on the centreline at the start [m].
        rows: one for each step that was driven.
        loop_ns: wall time of the whole loop [ns].
    """

    start: tuple[float, float, float, float]
    s0: float
    rows: list[Row] = field(default_factory=list)
    loop_ns: int = 0


class Paintings:
    """The paintings of circuits, each made once for all episodes of a session."""

    def __init__(self) -> None:
        self._made: dict[str, Painting] = {}

    def of(self, circuit: Circuit) -> Painting:
        """The painting of `circuit`; both directions of it share one, since the ground is the same."""
        if circuit.road not in self._made:
            self._made[circuit.road] = Painting(circuit)
        return self._made[circuit.road]


def run(
    job: Mapping[str, Any],
    case: Mapping[str, Any],
    number: int,
    driver: Asked,
    *,
    paintings: Paintings,
    emit: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """The facts of one case of a job, driven in a world of its own.

    Raises:
        InputError: circuit or conditions of the case make no sense.
    """
    circuit = read(Source(**case["circuit"])).facing(case["direction"])
    conditions, limits = Conditions.from_dict(case["conditions"]), Limits(**case["limits"])

    def progress(part: float, step: int) -> None:
        emit({"event": "progress", "key": case["key"], "fraction": part, "step": step})

    with World(circuit, conditions, limits, painting=paintings.of(circuit)) as world:
        grants_state = bool(job["drivers"][0].get("grants_state"))
        trace = bool(job.get("trace"))
        return drive(world, driver, episode=number, grants_state=grants_state, on_progress=progress, trace=trace)


def drive(
    world: World,
    driver: Asked,
    *,
    episode: int,
    grants_state: bool,
    on_progress: Callable[[float, int], None],
    trace: bool = False,
) -> dict[str, Any]:
    """Drive one episode to its outcome.

    Args:
        world: of the case.
        driver: who is asked.
        episode: its number in the session.
        grants_state: whether the driver is shown the true state.
        on_progress: called with the part of the lap done and the step, every `PROGRESS_S` [s] at most.
        trace: whether every step is kept, as a compressed table.

    Returns:
        The facts of the episode, JSON-safe.
    """
    began = time.perf_counter()
    world.reset()
    log = Log(_where(world), world.progress.s)
    fault: tuple[str, str] | None = None
    try:
        driver.reset(episode)
        _loop(world, driver, log, on_progress, grants_state=grants_state)
    except (DeadlineError, ProtocolError) as error:
        fault = (outcome_of(error), f"at step {len(log.rows)}: {error}")
    outcome, reason = fault or (world.outcome, None)
    wall_s = time.perf_counter() - began
    return {
        **_facts(log, lap_m=world.circuit.length),
        "outcome": outcome,
        "reason": reason,
        "wall_s": wall_s,
        "split_us": _split(world, log),
        "trace_npz_base64": _trace(log.rows) if trace else None,
    }


def never_began(case: Mapping[str, Any], fault: DriverFault) -> dict[str, Any]:
    """The facts of a case whose driver never said a valid hello."""
    lap_m = read(Source(**case["circuit"])).length
    return {
        **_facts(Log((0.0, 0.0, 0.0, 0.0), 0.0), lap_m=lap_m),
        "outcome": fault.outcome,
        "reason": f"before the first episode: {fault.reason}",
        "wall_s": 0.0,
        "split_us": {},
        "trace_npz_base64": None,
    }


def _loop(
    world: World, driver: Asked, log: Log, on_progress: Callable[[float, int], None], *, grants_state: bool
) -> None:
    """Ask and step until the judge says how it ended."""
    began = time.perf_counter_ns()
    due = time.monotonic() + PROGRESS_S
    while world.outcome is None:
        state = world.true_state.pack() if grants_state else b""
        reply = driver.ask(len(log.rows), world.frame, state)
        world.step(reply.command)
        log.rows.append(_row(world, reply))
        if time.monotonic() >= due:
            on_progress(min(1.0, max(0.0, world.progress.distance / world.circuit.length)), len(log.rows))
            due = time.monotonic() + PROGRESS_S
    log.loop_ns = time.perf_counter_ns() - began


def _row(world: World, reply: Reply) -> Row:
    car, progress = world.car_state, world.progress
    return Row(
        *(car.x, car.y, car.z, car.roll, car.pitch, car.yaw, car.speed, car.steering),
        *(progress.s, progress.distance, progress.offset, progress.heading_error),
        *reply.command,
        reply.round_trip_ns,
        reply.inference_ns,
    )


def _where(world: World) -> tuple[float, float, float, float]:
    progress = world.progress
    return (progress.distance, progress.offset, world.car_state.speed, progress.heading_error)


def _facts(log: Log, *, lap_m: float) -> dict[str, Any]:
    """All facts that follow from what was noted down."""
    points = [log.start, *((row.distance, row.offset, row.speed, row.heading_error) for row in log.rows)]
    commands = [(row.command_speed, row.command_steering) for row in log.rows]
    return {
        "steps": len(log.rows),
        "sim_time_s": len(log.rows) / CONTROL_HZ,
        "distance_m": max(0.0, *(point[0] for point in points)) if log.rows else 0.0,
        "lap_m": lap_m,
        "path": {"step_m": PATH_STEP, "s0": log.s0, **resampled(points)},
        "commands": suddenness(commands),
        "trajectory_sha256": trajectory_hash(log.rows),
        "latency": {
            "round_trip_us": summary([row.round_trip_ns / 1e3 for row in log.rows]),
            "claimed_inference_us": summary([row.inference_ns / 1e3 for row in log.rows]),
        },
    }


def resampled(points: Sequence[tuple[float, float, float, float]]) -> dict[str, list[float]]:
    """Offset, speed and heading error at each whole `PATH_STEP` of new distance, linear between control steps.

    A metre counts when it is first reached; what is driven back and again adds nothing. The first value stands for
    `PATH_STEP`, not for 0: where the car was put is not the driver's doing.

    Args:
        points: (distance [m], offset [m], speed [m/s], heading error [rad]) after each step, the start first.
    """
    path: dict[str, list[float]] = {"offset": [], "speed": [], "heading_error": []}
    reached = 1
    for before, after in pairwise(points):
        while after[0] >= reached * PATH_STEP > before[0]:
            part = (reached * PATH_STEP - before[0]) / (after[0] - before[0])
            turn = math.remainder(after[3] - before[3], 2.0 * math.pi)
            path["offset"].append(before[1] + part * (after[1] - before[1]))
            path["speed"].append(before[2] + part * (after[2] - before[2]))
            path["heading_error"].append(math.remainder(before[3] + part * turn, 2.0 * math.pi))
            reached += 1
    return path


def suddenness(commands: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    """Mean absolute change of the normalised command per second, of speed and steering; None below two commands."""
    if len(commands) < 2:
        return {"speed_suddenness": None, "steering_suddenness": None}
    speed, steering = np.abs(np.diff(np.array(commands, dtype=np.float64), axis=0)).mean(axis=0) * CONTROL_HZ
    return {"speed_suddenness": float(speed), "steering_suddenness": float(steering)}


def trajectory_hash(rows: Sequence[Row]) -> str | None:
    """The sha256 over x, y, yaw, speed, steering command and speed command of each step, as float64 little-endian.

    None where no step was driven.
    """
    if not rows:
        return None
    table = np.array([(r.x, r.y, r.yaw, r.speed, r.command_steering, r.command_speed) for r in rows], dtype="<f8")
    return hashlib.sha256(table.tobytes()).hexdigest()


def summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Median, 95th percentile, largest and number of `values`; None where there are none."""
    if not values:
        return {"median": None, "p95": None, "max": None, "n": 0}
    median, p95 = np.percentile(values, (50, 95))
    return {"median": float(median), "p95": float(p95), "max": max(values), "n": len(values)}


def _split(world: World, log: Log) -> dict[str, float]:
    """Where the time of a step went, without the inference that the driver claims: means by part [us].

    `transport` is the round trip less the claimed inference; `loop` is what is left: this file's own work.
    """
    count = len(log.rows)
    if not count:
        return {}
    total = {**world.split_ns, "transport": sum(row.round_trip_ns - row.inference_ns for row in log.rows)}
    total["loop"] = log.loop_ns - sum(world.split_ns.values()) - sum(row.round_trip_ns for row in log.rows)
    return {name: nanoseconds / count / 1e3 for name, nanoseconds in total.items()}


def _trace(rows: Sequence[Row]) -> str:
    """All rows as a compressed NumPy archive with one float64 array for each column, in base64."""
    table = np.array(rows, dtype=np.float64).reshape(-1, len(Row._fields))
    archive = io.BytesIO()
    np.savez_compressed(archive, **{name: table[:, i] for i, name in enumerate(Row._fields)})  # type: ignore[arg-type]
    return base64.b64encode(archive.getvalue()).decode("ascii")
