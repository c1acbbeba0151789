"""From one served answer back to the votes behind it: the answer, the version that gave it, the
snapshot that the version trained on, a pair of that snapshot, and the events that made the pair."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmops.preferences.snapshot import Snapshot
from llmops.registry.manifest import Manifest

if TYPE_CHECKING:
    import polars as pl

_SHOWN = 4
"""Events of a pair that are told; the others are counted."""


@dataclass(frozen=True)
class Step:
    """One link. key: its identifier; lines: what it says."""

    name: str
    key: str
    lines: tuple[str, ...] = ()


def lineage(
    version: Manifest, snapshot: Snapshot, inferences: "pl.DataFrame", events: "pl.DataFrame"
) -> list[Step]:
    """The chain of one answer that `version` gave. Empty when it gave none, or trained on no pair.

    Of all answers the one that says what people preferred, where there is one: the very text, to
    the same question, for which most of them voted.
    """
    import polars as pl

    pairs = pl.read_parquet(snapshot.pairs).filter(pl.col("split") == "train")
    given = inferences.filter(
        pl.col("version") == str(version.id),
        pl.col("error").is_null(),
        pl.col("group_id").is_null(),
    ).sort("time", "id")
    if not given.height or not pairs.height:
        return []
    order = [pl.col("builder") != "votes", "raters", "agreement", "prompt_hash", "rejected"]
    best = pairs.sort(order, descending=[False, True, True, False, False])
    text = ["prompt_hash", "response"]
    same = best.join(
        given, left_on=["prompt_hash", "chosen"], right_on=text, maintain_order="left_right"
    )
    if same.height:
        pair = same.row(0, named=True)
        given = given.filter(pl.col("id") == pair["id"])
    else:
        pair = best.row(0, named=True)
    return [*_made(given.row(-1, named=True), version, snapshot), *_said(pair, events)]


def _made(answer: dict[str, object], version: Manifest, snapshot: Snapshot) -> list[Step]:
    from json import loads

    question = loads(str(answer["messages"]))[-1]["content"]
    base, counts = version.base or version.lineage.parent or "", snapshot.counts
    return [
        Step(
            "answer",
            str(answer["id"]),
            (f"asked: {question}", f"answered: {answer['response']}"),
        ),
        Step(
            "version",
            str(version.id),
            (f"trained by run {version.lineage.run} from {base}, sha256 {version.digest[:12]}",),
        ),
        Step(
            "snapshot",
            snapshot.id,
            (
                f"{counts['train']} pairs train, {counts['holdout']} are held out, "
                f"sha256 {snapshot.digest[:12]}",
            ),
        ),
    ]


def _said(pair: dict[str, object], events: "pl.DataFrame") -> list[Step]:
    import polars as pl

    ids = list(pair["events"])  # type: ignore[call-overload]
    found = events.filter(pl.col("id").is_in(ids)).sort("time").to_dicts()
    said = [Step(f"{e['kind']} event", str(e["id"]), (_told(e),)) for e in found[:_SHOWN]]
    if len(found) > _SHOWN:
        said[-1] = Step(
            said[-1].name, said[-1].key, (*said[-1].lines, f"and {len(found) - _SHOWN} more")
        )
    prompt = pair["prompt"][-1]["content"]  # type: ignore[index]
    lines = (
        f"asked: {prompt}",
        f"preferred: {pair['chosen']}",
        f"over: {pair['rejected']}",
    )
    agreed = f"{float(str(pair['agreement'])):.0%} agree"
    raters = f"{pair['raters']} rater{'' if pair['raters'] == 1 else 's'}"
    by = f"made by {pair['builder']}, {raters}, {agreed}"
    return [Step("pair", by, lines), *said]


def _told(event: dict[str, object]) -> str:
    first, second = event["inference"], event["other"]
    source = f", {event['source']}" if event["source"] else ""
    if event["kind"] == "choice" and event["choice"] in ("first", "second"):
        better, worse = (first, second) if event["choice"] == "first" else (second, first)
        return f"prefers {better} to {worse}{source}"
    if event["kind"] == "regenerate":
        return f"keeps {first} and not {second}{source}"
    said = event["choice"] or event["text"]
    if said is None and event["value"] is not None:
        said = "up" if event["value"] else "down"
    return f"{said or event['kind']} on {first}{source}"
