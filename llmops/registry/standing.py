"""What a promotion stands on: the pieces of evidence that its alias needs, and what they lack.

What an alias needs is declared in llmops.toml (spec/policy.py). An evaluation that passed moves
`candidate`, an experiment moves `production` where nothing is declared; any other alias then moves
by `llmops models promote` when the newest piece of any kind has passed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llmops.registry.aliases import Move
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.store import Registry
from llmops.spec.grammar import seconds
from llmops.spec.policy import BUILT_IN, Policy
from llmops.spec.settings import load_settings


@dataclass(frozen=True)
class Step:
    """A move that is asked for. current: what the alias names; left: its last rollback from
    `version`; policy: None where nothing is said of the alias."""

    version: Manifest
    alias: str
    current: VersionId | None
    policy: Policy | None
    left: Move | None = None


@dataclass(frozen=True)
class Standing:
    """pieces: that decide, the last of them last; missing: what they lack, in words; nothing when
    the alias may move."""

    pieces: tuple[Evidence, ...]
    missing: list[str]

    @property
    def decides(self) -> Evidence | None:
        return self.pieces[-1] if self.pieces else None


def declared(name: str, alias: str, registry: Registry) -> Policy | None:
    """What llmops.toml says of an alias of model `name` now, however long this process runs."""
    return load_settings(registry.root).policy(name, alias)


def policy_of(name: str, alias: str, registry: Registry) -> Policy | None:
    """What a move by hand needs; None for an alias that nobody said anything of."""
    return declared(name, alias, registry) or BUILT_IN.get(alias)


def needs(policy: Policy | None, current: VersionId | None) -> list[str]:
    """What a move needs of an alias that names `current`. An experiment compares with what the
    alias names, so the first move asks for none."""
    wanted = policy.needs if policy else []
    return [need for need in wanted if current is not None or need != "experiment"]


def stands_on(version: Manifest, alias: str, registry: Registry, policy: Policy | None) -> Standing:
    """What a move of `alias` to `version` would stand on now."""
    log = registry.alias_log
    current = log.names(version.name, alias)
    step = Step(version, alias, current, policy, log.rolled_back(alias, version.id))
    return standing(step, EvidenceLog(registry.paths).of(version.name, str(version.id)))


def standing(step: Step, pieces: Sequence[Evidence]) -> Standing:
    """What a move would stand on. pieces: all about its version, oldest first.

    The newest piece of each kind that is needed must have passed, on these very bytes; and whatever
    was measured last must not have failed.
    """
    policy = step.policy
    measured = [one for one in pieces if one.kind != "override"]
    if policy is not None and not policy.needs:
        return Standing((), [])
    last = _newest(measured)
    found = {need: _newest(_counts(measured, need, policy)) for need in needs(policy, step.current)}
    found.pop("approval", None)
    if policy is None or (last is not None and last not in found.values() and not last.passed):
        found["evidence"] = last
    missing = [words for need, piece in found.items() for words in _lacks(step, need, piece)]
    decide = [piece for piece in found.values() if piece is not None]
    return Standing(tuple(sorted(decide, key=measured.index)), list(dict.fromkeys(missing)))


def _newest(pieces: Sequence[Evidence]) -> Evidence | None:
    """Figures that nobody asked anything of, as `llmops eval run` finds them, take nothing back."""
    decide = [one for one in pieces if one.asks] or pieces
    return decide[-1] if decide else None


def _counts(pieces: Sequence[Evidence], need: str, policy: Policy | None) -> list[Evidence]:
    """The pieces of a kind; of evaluations, only those of the recipe that the policy names."""
    recipe = policy.recipe if policy and need == "evaluation" else None
    return [one for one in pieces if one.kind == need and recipe in (None, one.recipe)]


def _lacks(step: Step, need: str, piece: Evidence | None) -> Iterator[str]:
    version, policy = step.version, step.policy
    if piece is None:
        of = f" by {policy.recipe}" if policy and policy.recipe and need == "evaluation" else ""
        yield f"there is no {need} about {version.id}{of}"
        return
    if not piece.passed:
        yield from piece.missing or [piece.summary]
    if piece.version_digest not in (None, version.digest):
        yield f"its {piece.kind} {piece.id} was made on other bytes than {version.id} has now"
    if step.left and piece.time <= step.left.time:
        yield f"its {piece.kind} is from before the {step.left.why} ({step.left.time[:10]})"
    age = datetime.now(UTC) - datetime.fromisoformat(piece.time)
    if policy and policy.max_age and age.total_seconds() > seconds(policy.max_age):
        yield f"its {piece.kind} is of {piece.time[:10]}, which is more than {policy.max_age} ago"
    if need == "experiment" and piece.against != str(step.current):
        yield f"its experiment was against {piece.against}; {step.alias} names {step.current} now"
