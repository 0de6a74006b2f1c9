"""The car's measures: every number of its mechanics and its actuators, and nothing of the simulator."""

from __future__ import annotations

from dataclasses import dataclass

GRAVITY = 9.81
"""[m/s^2]"""


@dataclass(frozen=True)
class CarParameters:
    """A small electric city car. Each number has its source or its reason beside it.

    Attributes:
        mass: VW up! of 2011: 929 kg; rounded [kg].
        wheelbase: front axle to rear axle; VW up!: 2.42 m, rounded [m].
        front_share: of the weight that rests on the front axle; small front-wheel-drive cars have 0.55 to 0.62 [-].
        mass_centre_height: above the road; 0.57 in CommonRoad's BMW 320i, less with a battery in the
            floor [m].
        roll_inertia: that of a solid box 1.6 m wide and 1.2 m high, wheels added [kg m^2].
        ride_frequency: of the body bouncing on its springs; Gillespie, "Fundamentals of Vehicle Dynamics", chapter 5,
            has 1.0 to 1.5 for passenger cars [Hz].
        roll_stiffness: gives a roll gradient of 4.2 degrees/g; road cars have 3 to 7 (Gillespie, chapter 6) [N m/rad].
        damping_ratio: in bounce, pitch and roll; between 0.3 for comfort and 0.7 for sport [-].
        travel: of the springs, down to the stops; as usual in small cars [m].
        stop_stiffness: of the stops, as a multiple of the springs' [-].
        cornering_coefficient: lateral force of a tyre per load and slip angle: 21.9 in CommonRoad's passenger cars
            (Althoff and Wuersching, "CommonRoad: Vehicle Models", p_Ky1), 17.6 in Rajamani, "Vehicle Dynamics and
            Control", table 2.1; between them [1/rad].
        max_acceleration: 0 to 50 km/h in 4 s, a brisk electric city car [m/s^2].
        max_braking: firm braking on a dry road; emergency stops reach 8 to 9 [m/s^2].
        speed_gain: acceleration asked for per speed error; a cruise controller with 0.25 s time constant [1/s].
        parking_speed: below it, a car told to stand still is held by its parking brake [m/s].
        steering_rate: of the steered wheels; between the 0.4 of CommonRoad's passenger cars and the 3.2 of F1TENTH's
            model cars [rad/s].
        physics_hz: steps of the physics per second, a whole multiple of the control rate. A path of four seconds at the
            limit of grip is right within a centimetre or so; tests/envs/test_dynamics.py holds it [Hz].
    """

    mass: float = 900.0
    wheelbase: float = 2.5
    front_share: float = 0.56
    mass_centre_height: float = 0.5
    roll_inertia: float = 320.0
    ride_frequency: float = 1.5
    roll_stiffness: float = 60_000.0
    damping_ratio: float = 0.5
    travel: float = 0.08
    stop_stiffness: float = 10.0
    cornering_coefficient: float = 20.0
    max_acceleration: float = 3.5
    max_braking: float = 6.0
    speed_gain: float = 4.0
    parking_speed: float = 0.1
    steering_rate: float = 1.2
    physics_hz: int = 80

    @property
    def to_front(self) -> float:
        """Mass centre to front axle [m]."""
        return (1.0 - self.front_share) * self.wheelbase

    @property
    def to_rear(self) -> float:
        """Mass centre to rear axle [m]."""
        return self.front_share * self.wheelbase

    @property
    def yaw_inertia(self) -> float:
        """Inertia about the vertical and the lateral axis [kg m^2].

        With this value an axle that is pushed does not move the other: each carries its share of the mass like a point.
        CommonRoad's BMW 320i is within 0.4 % of it.
        """
        return self.mass * self.to_front * self.to_rear

    @property
    def cornering_stiffness(self) -> float:
        """Lateral force of one axle per slip angle, at small angles; that of all tyres is the same [N/rad]."""
        return self.cornering_coefficient * self.mass * GRAVITY / 2.0

    @property
    def rear_slip(self) -> float:
        """Slip angle of the rear tyres per lateral acceleration [rad s^2/m]."""
        return self.mass * self.to_front / (self.wheelbase * self.cornering_stiffness)

    @property
    def understeer(self) -> float:
        """Steering that lateral acceleration takes beyond the wheelbase over the radius [rad s^2/m]."""
        return self.mass * (self.to_rear - self.to_front) / (self.wheelbase * self.cornering_stiffness)
