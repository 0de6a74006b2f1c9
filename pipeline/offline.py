"""What this host's own pip is told about its package index, handed on to the builds of the images.

A host behind a mirror has that in pip's settings (its configuration files or PIP_* variables). An image is built where
those do not reach: the addresses become build arguments, the certificate and the wheels go into `docker/offline/`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ADDRESSES = ("index-url", "extra-index-url", "trusted-host", "no-index")
"""Settings of pip that an image's build can use as they are."""

SECTIONS = ("global", "install", ":env:")
"""Sections of pip's settings, the later ones winning."""


def build_arguments(folder: Path, locks: Sequence[Path]) -> dict[str, str]:
    """Build arguments for an image that installs `locks`; puts certificate and wheels into `folder`."""
    settings = pip_settings()
    found = {f"PIP_{name.upper().replace('-', '_')}": _remote(settings.get(name, "")) for name in ADDRESSES}
    certificate = Path(settings.get("cert", ""))
    if certificate.is_file():
        _place(certificate, folder / "ca.crt")
    if (folder / "ca.crt").exists():
        found["PIP_CERT"] = "/offline/ca.crt"
    for wheel in wheels(settings.get("find-links", "").split(), locks):
        _place(wheel, folder / wheel.name)
    return {name: value for name, value in found.items() if value}


def pip_settings() -> dict[str, str]:
    """The settings of this interpreter's pip, as ``pip config list`` prints them; none where there is no pip."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return parse_settings(done.stdout)


def parse_settings(text: str) -> dict[str, str]:
    """Name -> value of the sections that installing reads, in pip's order of precedence."""
    rows = []
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if equals and section in SECTIONS:
            rows.append((SECTIONS.index(section), key, value.strip().strip("'\"")))
    return {key: value for _, key, value in sorted(rows, key=lambda row: row[0])}


def wheels(places: Iterable[str], locks: Sequence[Path]) -> list[Path]:
    """The wheels in the folders among `places` whose sha256 stands in one of `locks`."""
    text = "".join(lock.read_text(encoding="utf-8") for lock in locks)
    found = []
    for place in places:
        folder = Path(place.removeprefix("file://"))
        if not folder.is_dir():
            continue
        for wheel in sorted(folder.glob("*.whl")):
            # Only what the lock names by version is worth reading; a wheel may be hundreds of megabytes.
            package, version = wheel.name.split("-")[:2]
            pin = f"{package.lower().replace('_', '-')}=={version}"
            if pin in text and _sha256(wheel) in text:
                found.append(wheel)
    return found


def _remote(value: str) -> str:
    """The words of `value` less the addresses of files on this host, which a build cannot see."""
    return " ".join(word for word in value.split() if not word.startswith(("file:", "/")))


def _place(source: Path, target: Path) -> None:
    """Have the bytes of `source` at `target`; what is there already stays, so that the builder's cache holds."""
    if target.exists() and target.stat().st_size == source.stat().st_size and _sha256(target) == _sha256(source):
        return
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
