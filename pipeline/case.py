"""A case: model x circuit x direction x conditions x seed x clock, one thing to run; and what it resolves to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from envs import circuit as circuits
from envs import conditions as condition_sets
from envs.errors import InputError
from pipeline import manifest, plan, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from envs.circuit import Circuit
    from envs.conditions import Conditions
    from envs.progress import Limits
    from pipeline.manifest import ModelRow
    from pipeline.plan import Plan, Scope
    from pipeline.record import CaseFacts


@dataclass(frozen=True)
class Case:
    """One thing to run, in words.

    Attributes:
        model: a name in the manifest.
        circuit: a name, or the path of a circuit file, with or without a variant.
        direction: ``forward`` or ``reverse``.
        conditions: the name of a set of conditions.
        seed: draws the conditions.
        clock: ``lockstep``.
    """

    model: str
    circuit: str
    direction: str = "forward"
    conditions: str = "nominal"
    seed: int = 0
    clock: str = "lockstep"

    def __str__(self) -> str:
        """Short, for progress lines and messages."""
        return f"{self.model} {circuits.name_of(self.circuit)} {self.direction} {self.conditions} seed {self.seed}"


@dataclass(frozen=True)
class Resolved:
    """A case with everything that decides its driving, apart from code.

    Attributes:
        case: in words.
        row: the model.
        circuit: as read, forward.
        conditions: what was drawn.
        limits: of the judge.
    """

    case: Case
    row: ModelRow
    circuit: Circuit
    conditions: Conditions
    limits: Limits

    @cached_property
    def facts(self) -> CaseFacts:
        """What the record keeps of the case."""
        circuit = self.circuit
        return {
            "model": self.case.model,
            "circuit": circuit.name,
            "circuit_digest": circuit.digest,
            "lap_m": circuit.length,
            "width_m": circuit.width,
            "direction": "reverse" if self.case.direction == "reverse" else "forward",
            "conditions": self.case.conditions,
            "conditions_drawn": self.conditions.to_dict(),
            "seed": self.case.seed,
            "clock": self.case.clock,
            "limits": asdict(self.limits),
        }

    def job_case(self, key: str) -> dict[str, Any]:
        """What the world's job says of this case."""
        return {
            "key": key,
            "circuit": self.circuit.source._asdict(),
            "direction": self.case.direction,
            "conditions": self.conditions.to_dict(),
            "limits": asdict(self.limits),
            "clock": self.case.clock,
        }


class Resolver:
    """Resolves cases, reading each circuit once."""

    def __init__(self, rows: Sequence[ModelRow], limits: Limits) -> None:
        self._rows = {row.name: row for row in rows}
        self._limits = limits
        self._circuits: dict[str, Circuit] = {}

    def resolve(self, case: Case) -> Resolved:
        """`case` with its model, circuit, conditions and limits.

        Raises:
            InputError: a circuit file is wrong, or two circuits have one name.
        """
        circuit = self._circuit(case.circuit)
        drawn = condition_sets.draw(case.conditions, case.seed, circuit.name, case.direction)
        return Resolved(case, self._rows[case.model], circuit, drawn, self._limits)

    def _circuit(self, name_or_path: str) -> Circuit:
        if name_or_path not in self._circuits:
            circuit = circuits.load(name_or_path)
            if circuit.name in [other.name for other in self._circuits.values()]:
                raise InputError(
                    f"{name_or_path}: another circuit of this plan is called {circuit.name!r}; rename the file"
                )
            self._circuits[name_or_path] = circuit
        return self._circuits[name_or_path]


def expand(wanted: Plan, rows: Sequence[ModelRow], only: Sequence[str] = ()) -> tuple[Case, ...]:
    """The plan's cases in the order they are driven: ranked models as the manifest lists them, then calibrators.

    `only` narrows the ranked models; calibrators are driven in any case, as without them nothing can be believed.

    Raises:
        InputError: the plan or `only` names a model that is not in the manifest.
    """
    calibrators = [row for row in rows if row.calibrator]
    ranked = _ranked(wanted, rows, only)
    cases: list[Case] = []
    for row in ranked:
        cases.extend(_cases(row, wanted.scope, wanted.clock))
    for row in calibrators:
        cases.extend(_cases(row, wanted.calibrators.get(row.name, wanted.scope), wanted.clock))
    return tuple(cases)


def _ranked(wanted: Plan, rows: Sequence[ModelRow], only: Sequence[str]) -> list[ModelRow]:
    if wanted.models == (plan.ALL,):
        left_out = () if only else wanted.without
        ranked = [row for row in rows if not (row.calibrator or any(fnmatchcase(row.name, one) for one in left_out))]
    else:
        known = [row.name for row in rows]
        for name in wanted.models:
            if name not in known:
                advice = settings.nearest(name, known)
                raise InputError(f"{wanted.path}: models lists {name!r}, which is not in the manifest; {advice}")
        ranked = [row for row in rows if row.name in wanted.models and not row.calibrator]
    if not only:
        return ranked
    chosen = [manifest.find(rows, name).name for name in only]
    for name in chosen:
        if name not in [row.name for row in ranked] and not manifest.find(rows, name).calibrator:
            raise InputError(f"model {name!r} is not in the plan {wanted.name!r}; add it to the plan's models")
    return [row for row in ranked if row.name in chosen]


def _cases(row: ModelRow, scope: Scope, clock: str) -> Iterator[Case]:
    for circuit in scope.circuits:
        for direction in scope.directions:
            for conditions in scope.conditions:
                for seed in scope.seeds:
                    yield Case(row.name, circuit, direction, conditions, seed, clock)
