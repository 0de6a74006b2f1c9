"""Checks of a model's file before any runtime touches it, in the standard library alone, so that they fail fast."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from typing import TYPE_CHECKING, Any

from envs.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

ITEM_BITS = {
    name: bits
    for bits, names in {
        8: ("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"),
        16: ("I16", "U16", "F16", "BF16"),
        32: ("I32", "U32", "F32"),
        64: ("I64", "U64", "F64"),
    }.items()
    for name in names
}
"""Number formats that a safetensors file may hold here -> bits of one item."""

MAX_HEADER = 1 << 24
"""The longest header accepted [bytes]; a network of ten thousand tensors stays below."""


def parts(artifact: Path) -> tuple[Path, ...]:
    """The files of an artifact, in the order of their names: an OpenVINO `.xml` has a `.bin` beside it."""
    return (artifact.with_suffix(".bin"), artifact) if artifact.suffix == ".xml" else (artifact,)


def digest(artifact: Path) -> str:
    """The artifact's sum: the sha256 of its file; of several files, that of the lines that `sha256sum` prints of them.

    Raises:
        InputError: a file cannot be read.
    """
    sums = [(_sha256(path), path.name) for path in parts(artifact)]
    if len(sums) == 1:
        return sums[0][0]
    return hashlib.sha256("".join(f"{found}  {name}\n" for found, name in sums).encode()).hexdigest()


def check(artifact: Path | None, sha256: str | None) -> Path:
    """Check that `artifact` is there, is no pickle, and has the sum that the manifest names.

    Raises:
        InputError: it is not so.
    """
    if artifact is None:
        raise InputError("this runtime needs a model's file; give --artifact PATH")
    found = digest(artifact)
    with artifact.open("rb") as stream:
        head = stream.read(9)
    if is_pickle(head):
        raise InputError(
            f"{artifact} is a pickle, or an archive that may hold one; pickles can run code and are refused: "
            "save the weights as safetensors"
        )
    if sha256 is not None and found != sha256:
        raise InputError(f"{artifact} has sha256 {found}, but {sha256} was asked for; restore the file")
    return artifact


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read the artifact {path}: {error.strerror}; check the manifest's path") from error


def must_be_none(artifact: Path | None, runtime: str) -> None:
    """Check that a runtime that has nothing to load was given nothing.

    Raises:
        InputError: it was given a file.
    """
    if artifact is not None:
        raise InputError(f"{artifact}: the runtime {runtime} loads no file; take the artifact out of the model's row")


def is_pickle(head: bytes) -> bool:
    """Whether a file that starts with `head` (at least 9 bytes) is a pickle or a zip archive, as PyTorch writes them.

    A safetensors file whose header has 0x…280 to 0x…580 bytes starts like a pickle too, but its ninth byte is ``{``.
    """
    if head[8:9] == b"{" and head[5:8] == b"\0\0\0":
        return False
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05")


def safetensors_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name of each tensor -> dtype, shape and place, and ``__metadata__``.

    Raises:
        InputError: the file is cut short, has bytes left over, or its header makes no sense.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise InputError(f"{path} is cut short: {size} bytes are no safetensors file; make the artifact again")
        (length,) = struct.unpack("<Q", start)
        if length > min(size - 8, MAX_HEADER):
            raise InputError(
                f"{path} is cut short or no safetensors file: its header should have {length} bytes, "
                f"the file has {size}; make the artifact again"
            )
        text = stream.read(length)
    try:
        header = json.loads(text)
        end = max((_end(entry) for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: its safetensors header makes no sense; make the artifact again") from error
    if end != size - 8 - length:
        kind = "is cut short" if end > size - 8 - length else "has bytes left over"
        raise InputError(
            f"{path} {kind}: its header promises {end} bytes of weights, {size - 8 - length} are there; "
            "make the artifact again"
        )
    return dict(header)


def _end(entry: dict[str, Any]) -> int:
    """Where a tensor ends among the weights [bytes].

    Raises:
        ValueError: its place does not fit its shape and type.
    """
    begin, end = entry["data_offsets"]
    bits = math.prod(entry["shape"]) * ITEM_BITS[entry["dtype"]]
    if not 0 <= begin <= end or (end - begin) * 8 != bits:
        raise ValueError(entry)
    return int(end)
