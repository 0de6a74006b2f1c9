"""Where the driving was done and how to do it again, from the provenance of records."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from pipeline.markdown import escape, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.record import Record

NOTABLE = ("torch", "numpy", "pybullet", "opencv-python-headless", "gymnasium", "safetensors")
"""Packages whose versions the page shows; the records hold all."""


def environment(records: Sequence[Record]) -> str:
    """A table of what the records say made them; where they differ, all that they say."""
    made_by = [record["provenance"] for record in records]
    if not made_by:
        return "Nothing was driven."
    started = sorted(provenance["started_at"] for provenance in made_by)
    rows = [
        ["hotlap", _all(provenance["hotlap"] for provenance in made_by)],
        ["commit", _all(_commit(provenance) for provenance in made_by)],
        ["executor", _all(provenance["executor"] for provenance in made_by)],
        ["processor", processors(records)],
        ["Python of the harness", _all(provenance["python"] for provenance in made_by)],
        ["driven", " to ".join(dict.fromkeys((started[0], started[-1])))],
    ]
    roles = sorted({role for provenance in made_by for role in provenance["environment"]})
    for role in roles:
        found = [provenance["environment"][role] for provenance in made_by if role in provenance["environment"]]
        rows.append([f"role {escape(role)}", _all(_role(facts) for facts in found)])
    return table(["what", "value"], rows, left=2)


def processors(records: Sequence[Record]) -> str:
    """The processors that the cases were driven on."""
    return _all(record["provenance"]["cpu"] for record in records)


def commands(plan: str, records: Sequence[Record]) -> str:
    """The commands that make the page again, from the commit, the plan and the executor of the records."""
    commits = {record["provenance"]["commit"] for record in records}
    executors = {record["provenance"]["executor"] for record in records}
    executor = f" --executor {executors.pop()}" if len(executors) == 1 else ""
    changed = "  # as it was with changes that are not in git" * any(
        record["provenance"]["dirty"] for record in records
    )
    lines = [f"git checkout {sha}{changed}" for sha in commits if sha is not None] if len(commits) == 1 else []
    lines += [
        f"hotlap evaluate --plan {shlex.quote(plan)}{executor}  # drives what has no record, and times what has none",
        f"hotlap measure{executor}  # times all models anew; leave the host alone meanwhile",
        f"hotlap table --plan {shlex.quote(plan)}  # writes this page from the records alone",
    ]
    return "```console\n" + "\n".join(lines) + "\n```"


def _all(values: Any) -> str:
    """Each different value once, in order."""
    return ", ".join(escape(str(value)) for value in sorted({str(value) for value in values}))


def _commit(provenance: Mapping[str, Any]) -> str:
    if provenance["commit"] is None:
        return f"unknown ({provenance['commit_reason']})"
    return f"{provenance['commit'][:12]}{' with uncommitted changes' if provenance['dirty'] else ''}"


def _role(facts: Mapping[str, Any]) -> str:
    """A role's image or packages, as far as they are told."""
    words = [f"image {facts['image']}"] if facts.get("image") else []
    words += [f"id {str(facts['image_id'])[:19]}"] if facts.get("image_id") else []
    python, packages = facts.get("python"), facts.get("packages") or {}
    words += [str(python)] if python else []
    for name in NOTABLE:
        told = packages.get(name)
        if told is not None:
            words.append(f"{name} {told['version'] if isinstance(told, dict) else told}")
    return ", ".join(words) or "nothing told"
