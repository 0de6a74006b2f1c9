"""Work done side by side: a few threads take one piece of work after another, and an interrupt stops them all."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from envs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Task = Callable[[], None]

GRACE_S = 10.0
"""How long the threads may take to notice that they are to stop [s]."""

TICK_S = 0.2
"""How often the waiting thread looks up, so that it takes signals [s]."""


class Crew:
    """Does tasks, a few at a time, begun in their order.

    A task that raises an InputError ends alone: what is wrong with one model keeps no other from driving. Any other
    error stops the rest.

    Args:
        tasks: what to do.
        stop: set when no further task is to be begun; tasks look at it too.
    """

    def __init__(self, tasks: Iterable[Task], stop: threading.Event) -> None:
        self._todo = deque(tasks)
        self._stop = stop
        self._refused: list[InputError] = []
        self._broken: list[BaseException] = []

    def work(self, workers: int, on_stop: Callable[[], None]) -> list[InputError]:
        """Do all tasks, `workers` at a time, and return the InputErrors that they raised.

        Any other error of a task, and an interrupt of this thread, sets `stop`, calls `on_stop`, and is raised once the
        workers are done.
        """
        # Daemons: one that hangs must not keep an interrupted process alive; what it started goes with the process.
        threads = [threading.Thread(target=self._take, daemon=True) for _ in range(min(workers, len(self._todo)))]
        try:
            for thread in threads:
                thread.start()
            while busy := [thread for thread in threads if thread.is_alive()]:
                busy[0].join(TICK_S)
                self._check()
            self._check()
        except BaseException:
            self._stop.set()
            on_stop()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(GRACE_S)
            raise
        return self._refused

    def _take(self) -> None:
        """Do one task after the other; a worker's whole life."""
        while self._todo and not self._stop.is_set():
            try:
                task = self._todo.popleft()
            except IndexError:  # another worker was faster
                return
            try:
                task()
            except InputError as error:
                self._refused.append(error)
            except BaseException as error:  # noqa: BLE001 - raised again on the waiting thread
                self._broken.append(error)
                self._stop.set()

    def _check(self) -> None:
        if self._broken:
            raise self._broken[0]
