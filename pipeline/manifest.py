"""The model manifest `weights/manifest.toml`: one row for each model, checked as a whole before anything starts."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envs.errors import InputError
from pipeline import settings
from pipeline.drivers import CUDA_ROLE, RUNTIME_ROLE, RUNTIMES, SUFFIX, artifact
from pipeline.metrics.calibration import COMPLETES_ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
"""The repository: the folder that holds `envs/`, `pipeline/`, `weights/` and `results/`."""

MANIFEST = ROOT / "weights" / "manifest.toml"

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
DEVICES = ("cpu", "cuda")
KEYS: dict[str, type] = {
    "name": str,
    "runtime": str,
    "artifact": str,
    "sha256": str,
    "precision": str,
    "device": str,
    "threads": int,
    "calibrator": bool,
    "how": str,
    "description": str,
    "seed": int,
    "parameters": int,
    "zeros": int,
    "offline_mse": float,
    "offline_frames_sha256": str,
    "strategy": str,
    "mode": str,
    "operations": int,
    "rounded_zeros": int,
    "reference": str,
    "reference_sha256": str,
}
"""What a row may say, and of which kind it is."""

REQUIRED = ("name", "runtime", "description")
REQUIRED_OF_MODEL = (*REQUIRED, "artifact", "sha256", "precision", "how")

PICKLE_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: unique; lower case letters, digits, ``_ . -``.
        runtime: a key of `pipeline.drivers.RUNTIMES`.
        description: one line for people.
        artifact: path relative to the manifest's folder; None for a calibrator.
        sha256: of the artifact's bytes, 64 hex digits; None where there is no artifact.
        precision: ``fp32`` and so on, as asked for; what really ran is the driver's claim in the record.
        device: ``cpu`` or ``cuda``.
        threads: threads the runtime may use.
        calibrator: whether it calibrates the instrument, outside the ranking.
        how: the command that made the artifact.
        seed: the seed it was made with.
        parameters: number of weights.
        zeros: how many of them were pruned to zero.
        rounded_zeros: how many more became zero by rounding, where the artifact's format rounds.
        operations: multiply-adds for one frame.
        offline_mse: mean squared error on the fixed frames, of the saved file in its own runtime.
        offline_frames_sha256: which frames those were.
        strategy: what was done to the baseline, in a few words; empty for the baseline itself.
        mode: how the runtime is to run it, where it knows several ways; empty for its usual one.
        reference: file of the commands that the network gave on the fixed frames before it was converted; relative to
            the manifest's folder, (frames, 2) float32 as NumPy saves it.
        reference_sha256: of that file.
        folder: the manifest's folder.
    """

    name: str
    runtime: str
    description: str
    artifact: str | None = None
    sha256: str | None = None
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 1
    calibrator: bool = False
    how: str = ""
    seed: int | None = None
    parameters: int | None = None
    zeros: int | None = None
    offline_mse: float | None = None
    offline_frames_sha256: str | None = None
    strategy: str = ""
    mode: str = ""
    operations: int | None = None
    rounded_zeros: int | None = None
    reference: str | None = None
    reference_sha256: str | None = None
    folder: Path = MANIFEST.parent

    @property
    def path(self) -> Path | None:
        """The artifact's file, None where there is none."""
        return None if self.artifact is None else self.folder / self.artifact

    @property
    def role(self) -> str:
        """The role whose interpreter or image runs the driver, such as ``world``, ``torch-cpu`` or ``torch-cuda``."""
        role = RUNTIME_ROLE[self.runtime]
        return CUDA_ROLE.get(self.runtime, role) if self.device == "cuda" else role

    @property
    def size_bytes(self) -> int | None:
        """Size of the saved file or files [bytes], None where there is none."""
        return None if self.path is None else sum(path.stat().st_size for path in artifact.parts(self.path))

    def to_dict(self) -> dict[str, Any]:
        """The row as a record keeps it: JSON-safe, with the artifact's size [bytes], without this host's folder."""
        facts = asdict(self)
        del facts["folder"]
        return {**facts, "size_bytes": self.size_bytes}


def load(path: Path = MANIFEST) -> tuple[ModelRow, ...]:
    """The rows of the manifest at `path`, in its order, each cross-checked with its artifact.

    Raises:
        InputError: the first thing found wrong, by its row: an unknown, missing or mistyped key, a name given twice,
            an unknown runtime, a missing artifact, another sha256, or a pickle.
    """
    rows = parse(path)
    for row in rows:
        problem = problem_of(row)
        if problem is not None:
            raise InputError(f"{path}: model {row.name!r}: {problem}")
    return rows


def parse(path: Path = MANIFEST) -> tuple[ModelRow, ...]:
    """The rows of the manifest at `path` without a look at the artifacts.

    Raises:
        InputError: as `load`, for what stands in the file itself.
    """
    file = settings.read(path, "model manifest")
    file.check_keys(file.data, ("model",), at="the manifest")
    tables = file.data.get("model", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise file.refuse("models are written as [[model]], one such table for each", "model")
    rows = tuple(_row(file, table, index) for index, table in enumerate(tables, 1))
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise file.refuse(f"{names.count(name)} models are called {name!r}; give each a name of its own", name)
    return rows


def find(rows: Sequence[ModelRow], name: str) -> ModelRow:
    """The row called `name`.

    Raises:
        InputError: there is none; the nearest name is named.
    """
    for row in rows:
        if row.name == name:
            return row
    raise InputError(f"there is no model {name!r}; {settings.nearest(name, [row.name for row in rows])}")


def problem_of(row: ModelRow) -> str | None:
    """What is wrong with the row's artifact and what to do about it, None where all is well."""
    path = row.path
    if path is None:
        return None
    refused = "pickles can run code and are refused: save it as safetensors"
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return f"{row.artifact} is a pickle by its name; {refused}"
    wanted = SUFFIX.get(row.runtime)
    if wanted is not None and path.suffix != wanted:
        return f"{row.artifact} is no file for the runtime {row.runtime}, which takes {wanted}; correct the row"
    for part in artifact.parts(path):
        if not part.is_file():
            return f"the artifact {part} is not there; make it with: {row.how}"
    try:
        artifact.check(path, row.sha256)
        if path.suffix == ".safetensors":
            artifact.safetensors_header(path)
    except InputError as error:
        return str(error)
    return None


def _row(file: Settings, table: dict[str, Any], index: int) -> ModelRow:
    at = f"model {table['name']!r}" if isinstance(table.get("name"), str) else f"model number {index}"
    required = REQUIRED if table.get("calibrator") is True else REQUIRED_OF_MODEL
    file.check_keys(table, KEYS, required=required, at=at)
    values: dict[str, Any] = {key: file.value(table, key, KEYS[key], at=at) for key in table}
    row = ModelRow(**values, folder=file.path.parent)
    if not NAME.fullmatch(row.name):
        raise file.refuse(f"{at}: a name has lower case letters, digits and _ . - only, at most 64", row.name, at)
    file.word(row.runtime, RUNTIMES, at=f"{at}, runtime")
    file.word(row.precision, PRECISIONS, at=f"{at}, precision")
    file.word(row.device, DEVICES, at=f"{at}, device")
    if row.threads < 1:
        raise file.refuse(f"{at}: threads is {row.threads}, but must be 1 or more", "threads", at)
    for key, number in (
        ("parameters", row.parameters),
        ("zeros", row.zeros),
        ("rounded_zeros", row.rounded_zeros),
        ("operations", row.operations),
        ("offline_mse", row.offline_mse),
    ):
        if number is not None and not 0 <= number < math.inf:
            raise file.refuse(f"{at}: {key} is {number}, but must be finite and not negative", key, at)
    if row.calibrator and row.runtime not in COMPLETES_ALL:
        raise file.refuse(
            f"{at}: the runtime {row.runtime!r} is no calibrator; those are {', '.join(COMPLETES_ALL)}", "runtime", at
        )
    if (row.artifact is None) != (row.sha256 is None):
        raise file.refuse(f"{at}: artifact and sha256 belong together; give both or neither", row.name, at)
    if row.sha256 is not None and not SHA256.fullmatch(row.sha256):
        raise file.refuse(f"{at}: a sha256 has 64 hex digits in lower case, not {row.sha256!r}", "sha256", at)
    if row.artifact is not None and (Path(row.artifact).is_absolute() or ".." in Path(row.artifact).parts):
        raise file.refuse(
            f"{at}: the artifact lies in the manifest's folder; {row.artifact!r} does not", "artifact", at
        )
    return row
