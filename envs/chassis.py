"""The car's masses and lengths, read from `car.urdf`, the only place where they stand.

Apart from `envs.car` so that whoever needs the wheelbase does not load the simulator.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # reads car.urdf of this package, never a stranger's file
from dataclasses import dataclass
from functools import cache
from pathlib import Path

GRAVITY = 9.81
"""[m/s^2]"""

URDF = Path(__file__).with_name("car.urdf")


@dataclass(frozen=True)
class Chassis:
    """Masses and lengths of the car, as `car.urdf` gives them.

    Attributes:
        mass: of the whole car [kg].
        rolling_mass: what the wheels' inertia about their axles adds when the car speeds up [kg].
        wheelbase: front axle to rear axle [m].
        track: left wheel to right wheel [m].
        wheel_radius: [m].
        axle_height: of the wheels' centres above the road when the car rests [m].
        mass_centre_height: of the chassis above the road when the car rests [m].
    """

    mass: float
    rolling_mass: float
    wheelbase: float
    track: float
    wheel_radius: float
    axle_height: float
    mass_centre_height: float

    @property
    def contact_stiffness(self) -> float:
        """Stiffness of one wheel's soft contact, such that the axles rest at their height [N/m]."""
        return self.mass * GRAVITY / (4.0 * (self.wheel_radius - self.axle_height))


@cache
def chassis() -> Chassis:
    """Read the car's masses and lengths from its description."""
    robot = ET.parse(URDF).getroot()  # noqa: S314 - our own file
    masses = [float(mass.attrib["value"]) for mass in robot.iter("mass")]
    origins = {joint.attrib["name"]: _origin(joint) for joint in robot.iter("joint")}
    links = {link.attrib["name"]: link for link in robot.iter("link")}
    wheel, body = links["rear_left_wheel"], links["chassis"]
    radius = float(_only(wheel, "collision/geometry/sphere").attrib["radius"])
    spin_inertia = float(_only(wheel, "inertial/inertia").attrib["iyy"])
    rear_left = origins["rear_left_axle"]
    return Chassis(
        mass=sum(masses),
        rolling_mass=4.0 * spin_inertia / radius**2,
        wheelbase=origins["front_left_steering"][0] - rear_left[0],
        track=rear_left[1] - origins["rear_right_axle"][1],
        wheel_radius=radius,
        axle_height=rear_left[2],
        mass_centre_height=_origin(_only(body, "inertial"))[2],
    )


def _origin(element: ET.Element) -> tuple[float, float, float]:
    x, y, z = (float(part) for part in _only(element, "origin").attrib["xyz"].split())
    return x, y, z


def _only(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    if found is None:
        raise ValueError(f"{URDF} has no {path} in {element.attrib}")
    return found
