"""Judge-labelled pairs, from what is kept of a judge: nothing is asked here (asking.py does).

Answers to a prompt of which no other builder makes a pair are the candidates, one for each prompt:
those with a verdict first, then rated ones, then by the prompt's hash. So what was asked for stays
while the log grows. A pair comes about where the judge preferred the same answer in both orders.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmops.preferences.log import Log, answers, keys
from llmops.preferences.opinions import COLUMNS
from llmops.preferences.prompts import turns
from llmops.preferences.report import Tally
from llmops.preferences.verdicts import Kept, sample_key, verdict_key
from llmops.spec.grammar import seconds
from llmops.spec.preferences import Judge, PreferencesRecipe

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Candidate:
    """An answer that wants a partner. row: in the log's inferences; prompt: its turns."""

    row: int
    inference: str
    prompt: tuple[dict[str, str], ...]
    answer: str


@dataclass(frozen=True)
class Judged:
    """log: with the sampled answers at the end; to_ask: candidates without a verdict, or without
    the sampled answer that it is about."""

    log: Log
    opinions: "pl.DataFrame"
    to_ask: tuple[Candidate, ...]


def judged(
    log: Log, paired: "pl.Series", recipe: PreferencesRecipe, kept: Kept, tally: Tally
) -> Judged:
    """Opinions of the judge. paired: numbers of the prompts (log.answers) that have a pair."""
    judge = recipe.builders.judge
    assert judge is not None
    asked = [value["inference"] for value in kept.values() if "won" in value]
    found = candidates(log, paired, recipe, asked)
    known = [one for one in found if _is_kept(one, judge, kept)]
    samples = [kept[sample_key(judge, one.inference)] for one in known]
    won = [int(kept[verdict_key(judge, one.inference)]["won"]) for one in known]
    unclear = sum(not side for side in won)
    tally.drop(unclear, "comparisons", "the judge preferred neither, or not in both orders")
    first = log.inferences.height
    longer = _with_samples(log, known, [str(sample["text"]) for sample in samples])
    whole = [bool(sample["whole"]) for sample in samples]
    opinions = _opinions(longer, known, won, whole, first, judge)
    to_ask = tuple(one for one in found if not _is_kept(one, judge, kept))
    return Judged(longer, opinions, to_ask)


def _is_kept(one: Candidate, judge: Judge, kept: Kept) -> bool:
    """A verdict whose sampled answer is lost says nothing any more: lines may be cut off."""
    keys = verdict_key(judge, one.inference), sample_key(judge, one.inference)
    return all(key in kept for key in keys)


def candidates(
    log: Log, paired: "pl.Series", recipe: PreferencesRecipe, asked: Sequence[str]
) -> list[Candidate]:
    """At most `limit` of the judge's, each of another prompt. asked: inferences with a verdict."""
    import polars as pl

    known = log.inferences.with_row_index("row").select("row", "id", "time", "prompt_hash")
    known = known.hstack(answers(log.inferences, recipe))
    text = log.inferences["response"].str.contains(r"\S").fill_null(False)
    out = pl.any_horizontal("broken", "erased", "hidden", "completion")
    fit = known.filter(text & log.inferences["messages"].is_not_null())
    fit = fit.filter(pl.col("whole") & ~out & ~pl.col("prompt").is_in(paired.implode()))
    if recipe.since is not None:
        fit = fit.filter(pl.col("time") >= log.now - int(seconds(recipe.since) * 1000))
    rated = pl.concat([log.events["inference"], log.events["other"].drop_nulls()]).unique()
    before = pl.Series("id", asked, dtype=pl.String)
    order = fit.with_columns(
        new=~pl.col("id").is_in(before.implode()), unrated=~pl.col("id").is_in(rated.implode())
    ).sort("new", "unrated", "prompt_hash", "id")
    each = order.unique("prompt_hash", keep="first", maintain_order=True)
    assert recipe.builders.judge is not None
    return _read(log, each, recipe.builders.judge.limit)


def _read(log: Log, each: "pl.DataFrame", limit: int) -> list[Candidate]:
    """The first ones whose prompt can be trained on. More are looked at than needed, in portions,
    because reading a prompt costs more than choosing it."""
    found: list[Candidate] = []
    for part in each.iter_slices(4 * limit):
        messages = log.inferences["messages"].gather(part["row"]).alias("messages")
        asked = part.with_columns(
            messages, log.inferences["response"].gather(part["row"]).alias("answer")
        ).join(turns(messages), on="messages", maintain_order="left")
        for row in asked.head(limit - len(found)).iter_rows(named=True):
            prompt = tuple(dict(turn) for turn in row["turns"])
            found.append(Candidate(row["row"], row["id"], prompt, row["answer"]))
        if len(found) == limit:
            break
    return found


def _with_samples(log: Log, known: Sequence[Candidate], texts: Sequence[str]) -> Log:
    """The log with an inference more for each sampled answer, as far as pairs need one."""
    import polars as pl

    rows = pl.Series("row", [one.row for one in known], dtype=pl.UInt32)
    more = log.inferences[rows].with_columns(pl.Series("response", texts, dtype=pl.String))
    return replace(log, inferences=pl.concat([log.inferences, more], rechunk=True))


def _opinions(
    log: Log,
    known: Sequence[Candidate],
    won: Sequence[int],
    whole: Sequence[bool],
    first: int,
    judge: Judge,
) -> "pl.DataFrame":
    import polars as pl

    frame = pl.DataFrame(
        {
            "own": pl.Series([one.row for one in known], dtype=pl.UInt32),
            "sampled": pl.Series(range(first, first + len(known)), dtype=pl.UInt32),
            "won": pl.Series(won, dtype=pl.Int8),
            "finished": pl.Series(whole, dtype=pl.Boolean),
        }
    )
    responses, own = log.inferences["response"], pl.col("won") > 0
    none, rater = pl.lit(None, pl.UInt32), pl.Series([f"judge:{judge.model}"]).hash(3)
    frame = frame.with_columns(
        log.inferences["prompt_hash"].gather(frame["own"]).hash(2).alias("prompt"),
        keys(responses.gather(frame["own"])).alias("own_key"),
        keys(responses.gather(frame["sampled"])).alias("sampled_key"),
        log.inferences["simulated"].gather(frame["own"]),
    ).filter(pl.col("won") != 0)
    return frame.select(
        "prompt",
        chosen_key=pl.when(own).then("own_key").otherwise("sampled_key"),
        rejected_key=pl.when(own).then("sampled_key").otherwise("own_key"),
        chosen_row=pl.when(own).then("own").otherwise("sampled"),
        rejected_row=pl.when(own).then("sampled").otherwise("own"),
        edit=none,
        chosen_by=pl.when(own).then("own").otherwise(none),
        rejected_by=pl.when(own).then(none).otherwise("own"),
        whole=own | pl.col("finished"),
        rater=pl.lit(rater[0], pl.UInt64),
        event=none,
        simulated="simulated",
    ).select(COLUMNS)
