"""The world: circuits, car, camera, conditions, the judge and the Gymnasium environment.

Importing this package loads none of its parts, so that a driver's image can carry ``envs.command`` alone.
Import ``envs.env`` to register the Gymnasium environments.
"""
