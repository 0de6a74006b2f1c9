"""The car: a rigid body in PyBullet on springs and tyres of our own, that takes a command and gives a state.

Bullet moves the body; before each of its steps the car works out what springs, dampers and tyres (`envs.axle`) do to it
and applies that at its mass centre: no wheels to turn, no contacts to solve. The road is the plane z = 0. The front
wheels drive; all four brake, each in proportion to its load; they have no inertia of their own.

Signs: x forward, y left, z up; yaw and steering positive to the left; roll positive when the left side rises; pitch
positive when the nose dips.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pybullet

from envs.axle import Axle
from envs.car_parameters import GRAVITY, CarParameters
from envs.command import Command, speed_of, steering_of

CONTROL_HZ = 20
"""Commands per second [Hz]."""


Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Motion = tuple[tuple[Vector, Quaternion], tuple[Vector, Vector]]  # position and orientation, velocity and spin


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
    """Start a physics engine of its own with nothing in it but gravity; returns its client number."""
    parameters = parameters or CarParameters()
    client: int = pybullet.connect(pybullet.DIRECT)
    pybullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=client)
    pybullet.setPhysicsEngineParameter(fixedTimeStep=1.0 / parameters.physics_hz, numSubSteps=0, physicsClientId=client)
    return client


class Car:
    """A car on the road of one physics client.

    Bullet adds a step's change of velocity before it moves the body by it, so that velocities belong to whole steps and
    positions half a step later: a leapfrog, exact to second order. `place` and `state` mind the half step.

    Args:
        client: from `connect` with the same parameters.
        parameters: of the car.
        grip: coefficient of friction between tyre and road [-].
        steering_play: backlash of the steering, end to end, at the wheels [rad].

    Raises:
        ValueError: the physics rate is no whole multiple of the control rate, or grip or play is negative or no number.
    """

    def __init__(
        self, client: int, parameters: CarParameters | None = None, grip: float = 1.0, steering_play: float = 0.0
    ) -> None:
        self.parameters = car = parameters or CarParameters()
        if car.physics_hz < CONTROL_HZ or car.physics_hz % CONTROL_HZ:
            raise ValueError(f"physics_hz is {car.physics_hz}: give a whole multiple of {CONTROL_HZ}")
        if not (0.0 <= grip < math.inf and 0.0 <= steering_play < math.inf):
            raise ValueError(f"grip is {grip}, steering_play {steering_play}: give numbers that are not negative")
        self._client = client
        self._step = step = 1.0 / car.physics_hz
        self._front = Axle(car.front_share, car, grip, step)
        self._rear = Axle(1.0 - car.front_share, car, grip, step)
        self._to_front, self._to_rear, self._height = car.to_front, car.to_rear, car.mass_centre_height
        # The roll springs and dampers act as at the middle of the step, like those of the axles.
        spring, inertia = car.roll_stiffness, car.roll_inertia
        damper = 2.0 * car.damping_ratio * math.sqrt(spring * inertia)
        self._roll_spring, self._roll_damper = spring, damper
        self._roll_damped = 1.0 / (1.0 + damper * step / (2.0 * inertia) + spring * step**2 / (4.0 * inertia))
        self._half_play = steering_play / 2.0
        self._body = self._rigid_body()
        self.place(0.0, 0.0, 0.0)

    def place(self, x: float, y: float, yaw: float, speed: float = 0.0, above: float = 0.0) -> None:
        """Put the car `above` [m] where it rests on its springs, going straight ahead at `speed` [m/s]."""
        cosine, sine = math.cos(yaw), math.sin(yaw)
        ahead = self.parameters.wheelbase / 2.0 - self._to_front + speed * self._step / 2.0
        position = (x + ahead * cosine, y + ahead * sine, self._height + above)
        orientation = (0.0, 0.0, math.sin(yaw / 2.0), math.cos(yaw / 2.0))
        velocity = (speed * cosine, speed * sine, 0.0)
        pybullet.resetBasePositionAndOrientation(self._body, position, orientation, physicsClientId=self._client)
        pybullet.resetBaseVelocity(self._body, velocity, (0.0, 0.0, 0.0), physicsClientId=self._client)
        self._servo = self._turned_from = self._steering = 0.0
        self._acceleration = self._push = 0.0
        self._lift = 0.0  # of the front axle by the last step's forces along the road, which press on the rear [N]
        self._motion = self._measured()
        self._state = self._read()

    def apply(self, command: Command) -> None:
        """Set motors, brakes and steering for the coming control step; what lies beyond [-1, 1] is clipped.

        Raises:
            ValueError: a part of the command is not a number.
        """
        if not (math.isfinite(command.speed) and math.isfinite(command.steering)):
            raise ValueError(f"the car was given {command}")
        clipped = Command(*(min(1.0, max(-1.0, part)) for part in command))
        self._acceleration = self._wanted(speed_of(clipped))
        reach = self.parameters.steering_rate / CONTROL_HZ
        self._turned_from = self._servo
        self._servo = min(self._servo + reach, max(self._servo - reach, steering_of(clipped)))

    def push(self, acceleration_left: float) -> None:
        """Push the mass centre to the car's left during the coming control step, and only then [m/s^2].

        Raises:
            ValueError: not a finite number.
        """
        if not math.isfinite(acceleration_left):
            raise ValueError(f"the car was pushed by {acceleration_left}")
        self._push = acceleration_left

    def step(self) -> None:
        """Let one control step pass, 1 / `CONTROL_HZ` s."""
        steps = self.parameters.physics_hz // CONTROL_HZ
        turn = (self._servo - self._turned_from) / steps
        for number in range(steps):
            self._turn_wheels(self._turned_from + (number + 0.5) * turn)
            self._substep()
        self._turn_wheels(self._servo)
        self._turned_from = self._servo
        self._push = 0.0
        self._state = self._read()

    def state(self) -> CarState:
        """The car's state after the last step."""
        return self._state

    def _wanted(self, target: float) -> float:
        """Acceleration that the speed controller asks for; if negative, the brakes work against the motion [m/s^2]."""
        parameters, speed = self.parameters, self._state.speed
        if target == 0.0:
            parked = abs(speed) < parameters.parking_speed
            return (
                -parameters.max_braking if parked else -min(parameters.max_braking, parameters.speed_gain * abs(speed))
            )
        wanted = parameters.speed_gain * (target - speed)
        return min(parameters.max_acceleration, max(-parameters.max_braking, wanted))

    def _drive(self, front_load: float, load: float) -> tuple[float, float]:
        """Force asked of front and rear wheels; if negative, of their brakes, which share it like the load [N]."""
        force = self.parameters.mass * self._acceleration
        if force > 0.0:
            return force, 0.0
        front = force * front_load / load if load > 0.0 else 0.0
        return front, force - front

    def _turn_wheels(self, servo: float) -> None:
        """The wheels follow the servo as far as its play drags them."""
        self._steering = min(servo + self._half_play, max(servo - self._half_play, self._steering))

    def _substep(self) -> None:
        """One physics step: the forces of road and push, then Bullet's own step."""
        body, client = self._body, self._client
        ((x, y, z), (qx, qy, qz, qw)), ((vx, vy, vz), (wx, wy, yaw_rate)) = self._motion
        a, b = self._to_front, self._to_rear

        # Horizontal axes that follow the car: `forward` along its nose and `left` across it.
        nose_x, nose_y = 1.0 - 2.0 * (qy * qy + qz * qz), 2.0 * (qx * qy + qw * qz)
        nose_up, left_up = 2.0 * (qx * qz - qw * qy), 2.0 * (qy * qz + qw * qx)
        norm = 1.0 / math.sqrt(nose_x * nose_x + nose_y * nose_y)
        c, s = nose_x * norm, nose_y * norm
        roll_rate, pitch_rate = wx * c + wy * s, wy * c - wx * s

        rise = z - self._height
        front_load = self._front.load(rise + a * nose_up, vz - a * pitch_rate, self._lift)
        rear_load = self._rear.load(rise - b * nose_up, vz + b * pitch_rate, -self._lift)
        load = front_load + rear_load

        # Velocities of the chassis at road height, under the mass centre; then under each axle, in its wheels' axes.
        forward, left = vx * c + vy * s - z * pitch_rate, vy * c - vx * s + z * roll_rate
        kick = self._push * self._step / 2.0
        front_drive, rear_drive = self._drive(front_load, load)
        cd, sd = math.cos(self._steering), math.sin(self._steering)
        left_front = left + a * yaw_rate
        along, across = forward * cd + left_front * sd, left_front * cd - forward * sd
        along, across = self._front.tyres(along, across, kick * cd, front_load, front_drive)
        front_x, front_y = along * cd - across * sd, along * sd + across * cd
        rear_x, rear_y = self._rear.tyres(forward, left - b * yaw_rate, kick, rear_load, rear_drive)

        force_x, force_y = front_x + rear_x, front_y + rear_y
        self._lift = z * force_x / (a + b)
        roll = (z * force_y - self._roll_spring * left_up - self._roll_damper * roll_rate) * self._roll_damped
        pitch = b * rear_load - a * front_load - z * force_x
        yaw = a * front_y - b * rear_y
        force_y += self.parameters.mass * self._push
        force = (force_x * c - force_y * s, force_x * s + force_y * c, load)
        torque = (roll * c - pitch * s, roll * s + pitch * c, yaw)
        pybullet.applyExternalForce(body, -1, force, (x, y, z), pybullet.WORLD_FRAME, client)
        pybullet.applyExternalTorque(body, -1, torque, pybullet.WORLD_FRAME, client)
        pybullet.stepSimulation(client)
        self._motion = self._measured()

    def _measured(self) -> Motion:
        """What Bullet says of the body."""
        return (
            pybullet.getBasePositionAndOrientation(self._body, self._client),
            pybullet.getBaseVelocity(self._body, self._client),
        )

    def _read(self) -> CarState:
        ((x, y, z), (qx, qy, qz, qw)), ((vx, vy, vz), (wx, wy, wz)) = self._motion
        # Positions are half a step ahead of velocities: turn back by half of what the step turned.
        half = self._step / 2.0
        tx, ty, tz = half * wx / 2.0, half * wy / 2.0, half * wz / 2.0
        tw = 1.0 / math.sqrt(1.0 + tx * tx + ty * ty + tz * tz)
        qx, qy, qz, qw = (
            tw * (qx - tx * qw - ty * qz + tz * qy),
            tw * (qy - ty * qw - tz * qx + tx * qz),
            tw * (qz - tz * qw - tx * qy + ty * qx),
            tw * (qw + tx * qx + ty * qy + tz * qz),
        )
        nose = (1.0 - 2.0 * (qy * qy + qz * qz), 2.0 * (qx * qy + qw * qz), 2.0 * (qx * qz - qw * qy))
        up = (2.0 * (qx * qz + qw * qy), 2.0 * (qy * qz - qw * qx), 1.0 - 2.0 * (qx * qx + qy * qy))
        back, height = self.parameters.wheelbase / 2.0 - self._to_front, self._height
        return CarState(
            x=x - half * vx - back * nose[0] - height * up[0],
            y=y - half * vy - back * nose[1] - height * up[1],
            z=z - half * vz - back * nose[2] - height * up[2],
            roll=math.atan2(2.0 * (qy * qz + qw * qx), up[2]),
            pitch=math.asin(min(1.0, max(-1.0, -nose[2]))),
            yaw=math.atan2(nose[1], nose[0]),
            speed=vx * nose[0] + vy * nose[1] + vz * nose[2],
            yaw_rate=wz,
            steering=self._steering,
        )

    def _rigid_body(self) -> int:
        """A body of the car's mass and inertia that nothing but our forces and gravity can touch."""
        parameters, client = self.parameters, self._client
        body: int = pybullet.createMultiBody(parameters.mass, physicsClientId=client)
        pybullet.changeDynamics(
            body,
            -1,
            localInertiaDiagonal=(parameters.roll_inertia, parameters.yaw_inertia, parameters.yaw_inertia),
            linearDamping=0.0,
            angularDamping=0.0,
            activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=client,
        )
        return body
