"""A store that keeps what was used last and forgets the rest."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """At most `limit` values by key.

    Unlike `functools.lru_cache` on a method it makes no reference cycle: what its owner kept is freed with the owner.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> Value | None:
        """The value of a key, which is now the last one used; None if there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value; if the store is full, forget the one that was not used for longest."""
        self.make_room()
        self._values[key] = value

    def make_room(self) -> Value | None:
        """If the store is full, forget the value that was not used for longest, and return it."""
        return self._values.popitem(last=False)[1] if len(self._values) >= self._limit else None
