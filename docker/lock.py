"""Write every lock of the repository from its source: `python docker/lock.py [LOCK ...]`. Nothing else writes locks.

The rows are in `docker/pins.toml`. Needs `uv` beside this Python or on the PATH. Versions already locked are kept;
`--upgrade` looks for newer ones. The file names no package index: hashes, not hosts, say what may be installed.

The CPU wheel of PyTorch is on no ordinary index: `--find-links` (default: pip's own PIP_FIND_LINKS) names a folder or
page that has it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def uv() -> str:
    """The `uv` beside this interpreter, else the one on the PATH.

    Raises:
        SystemExit: There is none.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        sys.exit("lock: `uv` is not installed; `pip install uv` and run this again")
    return found


def command(row: dict[str, Any], python: str, find_links: str | None, *, upgrade: bool) -> list[str]:
    """The `uv pip compile` call of one row of the pins; the row's `extra` lines go to its standard input."""
    words = [uv(), "pip", "compile", row["source"], "--output-file", row["lock"]]
    words += ["--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    words += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "--no-sources"]
    words += ["--no-annotate"]
    if row.get("extra"):
        words.append("-")
    if row.get("alone"):
        words.append("--no-deps")
    if "constraint" in row:
        words += ["--constraint", row["constraint"]]
    if row.get("find_links"):
        if not find_links:
            sys.exit(
                f"lock: {row['lock']} needs PyTorch's CPU wheel; name a folder or page that has it by --find-links"
            )
        words += ["--find-links", find_links]
    if upgrade:
        words.append("--upgrade")
    return words


def main() -> None:
    """Write the locks asked for, all by default, in the order of the pins (constraints come first)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("locks", nargs="*", metavar="LOCK", help="path of a lock as in docker/pins.toml; default: all")
    parser.add_argument("--find-links", default=os.environ.get("PIP_FIND_LINKS"))
    parser.add_argument("--upgrade", action="store_true")
    arguments = parser.parse_args()
    pins = tomllib.loads((ROOT / "docker/pins.toml").read_text())
    rows = {row["lock"]: row for row in pins["lock"]}
    unknown = set(arguments.locks) - set(rows)
    if unknown:
        parser.error(f"no such lock: {', '.join(sorted(unknown))}; docker/pins.toml has {', '.join(rows)}")
    for name, row in rows.items():
        if arguments.locks and name not in arguments.locks:
            continue
        words = command(row, pins["python"], arguments.find_links, upgrade=arguments.upgrade)
        subprocess.run(words, cwd=ROOT, input="\n".join(row.get("extra", [])), text=True, check=True)
        print(f"{name}: {sum('==' in line for line in (ROOT / name).read_text().splitlines())} packages")


if __name__ == "__main__":
    main()
