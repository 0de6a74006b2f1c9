"""Run a program that dies with its parent: ``python leash.py PARENT_PID CORE PROGRAM ARGUMENT …``; CORE may be ``-``.

The kernel is asked to kill this process when the parent ends, however it ends, and the program then takes this
process's place, which keeps that. It is a program of its own because code run between fork and exec in a parent with
threads can hang it. Standard library alone; it is started by path, so that it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Put this process on the leash and become the program."""
    parent, core, program = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"leash: cannot be tied to the parent: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it ended before the kernel was asked
        sys.exit(0)
    if core != "-":
        os.sched_setaffinity(0, {int(core)})
    try:
        os.execv(program[0], program)  # noqa: S606 - becoming the program is what this file is for
    except OSError as error:
        sys.exit(f"leash: cannot start {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
