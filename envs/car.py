"""The car: a rigid-body vehicle in PyBullet that takes a command and gives a state.

Signs: x forward, y left, z up; yaw and steering positive to the left; roll positive when the left side rises; pitch
positive when the nose dips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import pybullet

from envs.chassis import GRAVITY, URDF, Chassis, chassis
from envs.command import Command, speed_of, steering_of

CONTROL_HZ = 20
"""Commands per second [Hz]."""

PHYSICS_HZ = 240
"""Physics steps per second [Hz]."""

SUBSTEPS = PHYSICS_HZ // CONTROL_HZ
STEERED = ("front_left_steering", "front_right_steering")
ROLLING = ("front_left_axle", "front_right_axle", "rear_left_axle", "rear_right_axle")


@dataclass(frozen=True)
class CarParameters:
    """What the car's actuators can do. Each number is a choice; the reason stands beside it.

    Attributes:
        max_acceleration: 0 to 50 km/h in 4 s, a brisk electric city car [m/s^2].
        max_braking: firm braking on a dry road; emergency stops reach 8 to 9 [m/s^2].
        speed_gain: acceleration asked for per speed error; a cruise controller with 0.25 s time constant [1/s].
        wheel_slip: how far a wheel may run ahead of or behind the ground, traction control and anti-lock [m/s].
        steering_rate: of the steered wheels [rad/s]; between the 0.4 of CommonRoad's passenger cars and the 3.2 of
            F1TENTH's model cars.
        damping_ratio: of the car bouncing on its contacts [-]; road cars lie near 0.3, sporty ones near 0.7.
        solver_iterations: of the contact solver per physics step; 50 give the same grip and radii within 2 %.
    """

    max_acceleration: float = 3.5
    max_braking: float = 6.0
    speed_gain: float = 4.0
    wheel_slip: float = 1.0
    steering_rate: float = 1.2
    damping_ratio: float = 0.7
    solver_iterations: int = 10


class CarState(NamedTuple):
    """Where the car is and how it moves.

    Attributes:
        x: of the point of the chassis that lies on the road midway between the axles when the car rests [m].
        y: of the same point [m].
        z: of the same point; 0 at rest [m].
        roll: [rad].
        pitch: [rad].
        yaw: in (-pi, pi] [rad].
        speed: along the car's own forward axis, negative when rolling backwards [m/s].
        yaw_rate: [rad/s].
        steering: angle of the single wheel that would stand midway between the front wheels [rad].
    """

    x: float
    y: float
    z: float
    roll: float
    pitch: float
    yaw: float
    speed: float
    yaw_rate: float
    steering: float


def connect(parameters: CarParameters | None = None) -> int:
    """Start a physics engine of its own with nothing in it but a flat road; returns its client number."""
    parameters = parameters or CarParameters()
    client: int = pybullet.connect(pybullet.DIRECT)
    pybullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=client)
    pybullet.setPhysicsEngineParameter(
        fixedTimeStep=1.0 / PHYSICS_HZ,
        numSubSteps=0,
        numSolverIterations=parameters.solver_iterations,
        deterministicOverlappingPairs=1,
        # Otherwise a rolling sphere keeps the touching points it has rolled away from, each one more spring.
        contactBreakingThreshold=1e-12,
        physicsClientId=client,
    )
    plane = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=client)
    road = pybullet.createMultiBody(0.0, plane, physicsClientId=client)
    # Bullet multiplies the two bodies' friction: 1 here, so that the wheels' alone decides.
    pybullet.changeDynamics(road, -1, lateralFriction=1.0, restitution=0.0, physicsClientId=client)
    return client


class Car:
    """A car on the road of one physics client.

    Args:
        client: from `connect`.
        parameters: of the actuators.
        grip: coefficient of friction between wheel and road [-].
    """

    def __init__(self, client: int, parameters: CarParameters | None = None, grip: float = 1.0) -> None:
        self.parameters = parameters or CarParameters()
        self.chassis = chassis()
        self._client = client
        self._body: int = pybullet.loadURDF(
            str(URDF), flags=pybullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
        )
        self._joints = self._joint_numbers()
        self._set_contacts(grip)
        self._steering = 0.0
        self._state = self._read()

    def place(self, x: float, y: float, yaw: float, speed: float = 0.0) -> None:
        """Put the car on the road at rest on its springs, rolling straight ahead at `speed` [m/s]."""
        orientation = (0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0))
        velocity = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
        height, client = self.chassis.mass_centre_height, self._client
        pybullet.resetBasePositionAndOrientation(self._body, (x, y, height), orientation, physicsClientId=client)
        pybullet.resetBaseVelocity(self._body, velocity, (0.0, 0.0, 0.0), physicsClientId=client)
        for number, joint in enumerate(self._joints):
            spin = 0.0 if number < len(STEERED) else speed / self.chassis.wheel_radius
            pybullet.resetJointState(self._body, joint, 0.0, spin, physicsClientId=client)
        self._steering = 0.0
        self._state = self._read()

    def apply(self, command: Command) -> None:
        """Set the motors for the coming control step; parts of the command beyond [-1, 1] are clipped.

        Raises:
            ValueError: a part of the command is not a number.
        """
        if not (math.isfinite(command.speed) and math.isfinite(command.steering)):
            raise ValueError(f"the car was given {command}")
        clipped = Command(*(min(1.0, max(-1.0, part)) for part in command))
        wheel_speed, torque = self._drive(speed_of(clipped))
        steering_speeds = self._steer(steering_of(clipped))
        pybullet.setJointMotorControlArray(
            self._body,
            self._joints,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=(*steering_speeds, wheel_speed, wheel_speed, wheel_speed, wheel_speed),
            # A steering servo strong enough never to be pushed back: 5 kN m on 5 kg knuckles.
            forces=(5000.0, 5000.0, torque, torque, torque, torque),
            physicsClientId=self._client,
        )

    def step(self) -> None:
        """Let one control step pass, 1 / `CONTROL_HZ` s.

        Bullet's own substeps round the number of steps in floating point and scale the motors' limits by it, so the
        steps are taken one by one.
        """
        for _ in range(SUBSTEPS):
            pybullet.stepSimulation(physicsClientId=self._client)
        self._state = self._read()

    def state(self) -> CarState:
        """The car's state after the last step."""
        return self._state

    def _drive(self, target: float) -> tuple[float, float]:
        """Wheel speed [rad/s] and torque [N m] of each of the four motors for a target speed [m/s].

        The torque follows the acceleration asked for; the wheel speed only bounds how far a wheel can slip.
        """
        parameters, speed, body = self.parameters, self._state.speed, self.chassis
        wanted = parameters.speed_gain * (target - speed)
        acceleration = min(parameters.max_acceleration, max(-parameters.max_braking, wanted))
        if target == 0.0 and abs(speed) < 0.1:  # slow enough for the parking brake [m/s]
            acceleration, slip = -parameters.max_braking, -math.inf
        else:
            slip = math.copysign(parameters.wheel_slip, acceleration)
        wheel_speed = max(0.0, speed + slip) / body.wheel_radius
        return wheel_speed, (body.mass + body.rolling_mass) * abs(acceleration) * body.wheel_radius / 4.0

    def _steer(self, target: float) -> tuple[float, float]:
        """Speeds of the two knuckles that bring them to their angles at the end of the control step [rad/s]."""
        reach = self.parameters.steering_rate / CONTROL_HZ
        self._steering = min(self._steering + reach, max(self._steering - reach, target))
        states = pybullet.getJointStates(self._body, self._joints[: len(STEERED)], physicsClientId=self._client)
        left, right = ackermann(self._steering, self.chassis)
        return (left - states[0][0]) * CONTROL_HZ, (right - states[1][0]) * CONTROL_HZ

    def _read(self) -> CarState:
        (cx, cy, cz), (qx, qy, qz, qw) = pybullet.getBasePositionAndOrientation(
            self._body, physicsClientId=self._client
        )
        linear, angular = pybullet.getBaseVelocity(self._body, physicsClientId=self._client)
        forward = (1.0 - 2.0 * (qy * qy + qz * qz), 2.0 * (qx * qy + qw * qz), 2.0 * (qx * qz - qw * qy))
        up = (2.0 * (qx * qz + qw * qy), 2.0 * (qy * qz - qw * qx), 1.0 - 2.0 * (qx * qx + qy * qy))
        height = self.chassis.mass_centre_height
        return CarState(
            x=cx - height * up[0],
            y=cy - height * up[1],
            z=cz - height * up[2],
            roll=math.atan2(2.0 * (qy * qz + qw * qx), up[2]),
            pitch=math.asin(min(1.0, max(-1.0, -forward[2]))),
            yaw=math.atan2(forward[1], forward[0]),
            speed=linear[0] * forward[0] + linear[1] * forward[1] + linear[2] * forward[2],
            yaw_rate=angular[2],
            steering=self._steering,
        )

    def _joint_numbers(self) -> tuple[int, ...]:
        count = pybullet.getNumJoints(self._body, physicsClientId=self._client)
        infos = [pybullet.getJointInfo(self._body, joint, physicsClientId=self._client) for joint in range(count)]
        numbers = {info[1].decode(): info[0] for info in infos}
        return tuple(numbers[name] for name in (*STEERED, *ROLLING))

    def _set_contacts(self, grip: float) -> None:
        stiffness = self.chassis.contact_stiffness
        damping = 2.0 * self.parameters.damping_ratio * math.sqrt(stiffness * self.chassis.mass / 4.0)
        for link in (-1, *self._joints):
            pybullet.changeDynamics(
                self._body,
                link,
                lateralFriction=grip,
                rollingFriction=0.0,
                spinningFriction=0.0,
                restitution=0.0,
                linearDamping=0.0,
                angularDamping=0.0,
                jointDamping=0.0,
                physicsClientId=self._client,
            )
        for wheel in self._joints[len(STEERED) :]:
            pybullet.changeDynamics(
                self._body, wheel, contactStiffness=stiffness, contactDamping=damping, physicsClientId=self._client
            )


def ackermann(steering: float, body: Chassis) -> tuple[float, float]:
    """Angles of the left and right front wheel whose axles meet on the rear axle's line [rad].

    Args:
        steering: of the single wheel midway between them, within (-pi/2, pi/2) [rad].
        body: gives wheelbase and track.
    """
    tangent = math.tan(steering)
    half = tangent * body.track / (2.0 * body.wheelbase)
    return math.atan(tangent / (1.0 - half)), math.atan(tangent / (1.0 + half))
