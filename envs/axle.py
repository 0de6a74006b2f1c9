"""One axle: the springs, dampers and tyres of its two wheels, taken together.

The force of a step is the one at its middle, worked out from the velocity at its beginning and from how the force
itself will have changed it by then (a Rosenbrock method of second order). That is what lets the steps be long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from envs.car_parameters import GRAVITY

if TYPE_CHECKING:
    from envs.car_parameters import CarParameters


class Axle:
    """Force elements between a share of the car's mass and the road.

    Args:
        share: of the car's mass that this axle carries [-].
        parameters: of the car.
        grip: coefficient of friction between tyre and road [-].
        step: length of a physics step [s].
    """

    def __init__(self, share: float, parameters: CarParameters, grip: float, step: float) -> None:
        mass, height = share * parameters.mass, parameters.mass_centre_height
        pulse = 2.0 * math.pi * parameters.ride_frequency
        self._weight = mass * GRAVITY
        self._spring = mass * pulse**2
        self._stop = parameters.stop_stiffness * self._spring
        self._damper = 2.0 * parameters.damping_ratio * mass * pulse
        self._travel = parameters.travel
        # Each newton moves the spring by so much, and its rate, by the middle of the step.
        self._yielding = step**2 / (4.0 * mass)
        self._damped = 1.0 + self._damper * step / (2.0 * mass)
        self._grip = grip
        self._stiffness = parameters.cornering_stiffness
        self._slowing = step / (2.0 * mass)
        # Force that stops a contact within a step, per velocity of the contact; the body rolls and pitches above it.
        self._halt_across = 1.0 / (step * (1.0 / mass + height**2 / parameters.roll_inertia))
        self._halt_along = share / (step * (1.0 / parameters.mass + height**2 / parameters.yaw_inertia))

    def load(self, height: float, rising: float, lift: float) -> float:
        """Force of the road on the two wheels; a road does not pull [N].

        Args:
            height: of the body over this axle, above where it rests [m].
            rising: its rate [m/s].
            lift: of the body over this axle, by all other forces [N].
        """
        stiffness, back = self._spring, self._spring * height
        if back > self._weight:  # the springs have their full length, the wheels hang in the air
            return 0.0
        if height < -self._travel:
            stiffness += self._stop
            back += self._stop * (height + self._travel)
        moved = (lift - back - self._damper * rising) / (self._damped + stiffness * self._yielding)
        force = self._weight - lift + moved
        return max(0.0, force)

    def tyres(self, along: float, across: float, kick: float, load: float, drive: float) -> tuple[float, float]:
        """Forces of the road on the two tyres, along the wheels' heading and across it to the left [N].

        Args:
            along: velocity of the contacts along the heading, at the step's beginning [m/s].
            across: to the left of it [m/s].
            kick: what other forces add to the velocity across in half a step [m/s].
            load: of the axle [N].
            drive: asked of the motors; if negative, the brakes press so hard, against the motion [N].
        """
        limit = self._grip * load
        if drive < 0.0:
            halt = abs(along) * self._halt_along
            drive = math.copysign(min(-drive, halt), -along)
        slipping = across + kick
        side = min(self._lateral(abs(along), abs(slipping), limit), abs(slipping + kick) * self._halt_across)
        total = math.sqrt(drive * drive + side * side)
        if total > limit:  # the friction circle
            drive, side = drive / total * limit, side / total * limit
        return drive, math.copysign(side, -slipping)

    def _lateral(self, along: float, across: float, limit: float) -> float:
        """Brush model of a tyre that slips at a speed `across` while it rolls at `along`, both positive [N].

        E. Fiala, "Seitenkraefte am rollenden Luftreifen", VDI-Z 96 (1954); H. B. Pacejka, "Tire and Vehicle Dynamics",
        section 3.2: stiffness * slip at first, `limit` from the slip on at which the whole contact slides.
        """
        slip, sliding = self._stiffness * across, 3.0 * limit * along
        if slip >= sliding:
            return limit
        part = slip / sliding
        stuck = 1.0 - part
        return slip * (1.0 - part + part * part / 3.0) / (along + self._stiffness * stuck * stuck * self._slowing)
