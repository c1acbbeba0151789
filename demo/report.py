"""The demo's report: what the rounds came to, as one HTML page and as a table on the terminal."""

from demo.charts import Part, Rate, bars, rates
from demo.page import chain, heading, page, panels, paragraph, table
from demo.rounds import Round, Story

TITLE = "The loop, round by round"
TARGET_SECONDS = 40.0
TARGET_BESIDES = 10.0
"""Of the target: what may pass outside of training."""
TRAINING = "training"
HEADERS = ("round", "version", "terse", "correct", "pairs", "vote to answer", "experiment")


def html(story: Story) -> str:
    """The whole page."""
    parts = [_intro(story), heading("The rounds"), table(HEADERS, rows(story)), _charts(story)]
    parts += [heading("From the last vote to the candidate's first answer"), _time(story)]
    parts += [heading("Gates and experiments"), _evidence(story)]
    parts += [heading("Where one answer comes from"), _chain(story)]
    return page(TITLE, parts)


def rows(story: Story) -> list[list[str]]:
    """A row for the version before, and one for each round."""
    found = []
    if story.rounds:
        first = story.rounds[0]
        start = [_said(first.baseline, name) for name in ("terse", "correct")]
        found.append(["0", first.against, *start, "", "", ""])
    for one in story.rounds:
        outcome = one.experiment.partition(":")[0] or "none"
        found.append(
            [
                str(one.number),
                one.version,
                _said(one.rates, "terse"),
                _said(one.rates, "correct"),
                str(sum(one.pairs.values())),
                f"{_total(one):.0f} s" if one.seconds else "interrupted",
                f"{outcome}, {'in production' if one.moved else 'not moved'}",
            ]
        )
    return found


def print_table(story: Story) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    shown = Table(*HEADERS, header_style="bold", title=TITLE, title_justify="left")
    for row in rows(story):
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 140).print(shown)


def _intro(story: Story) -> str:
    visits = sum(one.visits for one in story.rounds)
    ratings = sum(one.ratings for one in story.rounds)
    failed = sum(one.failed for one in story.rounds)
    return paragraph(
        "A tiny model answers questions about towns, about half of them in more words than its "
        "users like. They vote, edit and press thumbs; pairs are built from that, a candidate is "
        "trained from the anchor, examined, tried on a share of the users, and released."
    ) + paragraph(
        f"{visits:,} visits of simulated users, {ratings:,} ratings, {story.answers:,} answers in "
        f"the log of which {story.errors:,} ended in an error; {failed:,} visits failed. "
        "Everything here is marked simulated: it shows that the loop turns, not what people like.",
        quiet=True,
    )


def _charts(story: Story) -> str:
    boxes = []
    for metric, title in (("terse", "Terse answers"), ("correct", "Correct answers")):
        measured = [one for one in story.rounds if metric in one.rates]
        lines = [(f"{one.number}: {one.version}", one.rates[metric]) for one in measured]
        if measured and metric in measured[0].baseline:
            lines.insert(0, (f"0: {measured[0].against}", measured[0].baseline[metric]))
        boxes.append((f"{title}, held-out questions", rates(title, lines)))
    stacked = [
        (
            f"round {one.number}: {sum(one.pairs.values())} pairs",
            [Part(name, count, str(count)) for name, count in one.pairs.items()],
        )
        for one in story.rounds
    ]
    boxes.append(("Pairs that trained, by builder", bars("Pairs by builder", stacked)))
    return panels(boxes)


def _time(story: Story) -> str:
    measured = [one for one in story.rounds if one.seconds]
    if not measured:
        return paragraph("No round went through without an interruption, so none was timed.")
    stacked = [
        (
            f"round {one.number}: {_total(one):.1f} s",
            [Part(name, size, f"{size:.1f} s") for name, size in one.seconds.items()],
        )
        for one in measured
    ]
    names = list(measured[0].seconds)
    figures = [
        [
            str(one.number),
            *(f"{one.seconds[name]:.1f} s" for name in names),
            f"{_besides(one):.1f} s",
        ]
        for one in measured
    ]
    return (
        bars("Seconds from the last vote to the first answer", stacked)
        + table(["round", *names, "all but training"], figures)
        + paragraph(
            f"Targets: {TARGET_SECONDS:.0f} s, of which {TARGET_BESIDES:.0f} s are not training. "
            "Training is the whole stage: starting the engine, the steps, saving, and computing "
            "the golden prompts. The clock stops when the first user has the candidate's answer.",
            quiet=True,
        )
    )


def _evidence(story: Story) -> str:
    figures = [
        [str(one.number), one.version, one.gate or "none", one.experiment or "none"]
        for one in story.rounds
    ]
    return table(["round", "version", "evaluation", "experiment"], figures)


def _chain(story: Story) -> str:
    if not story.chain:
        return paragraph("No answer of the last version is in the log.")
    return chain([(step.name, step.key, step.lines) for step in story.chain])


def _said(found: dict[str, Rate], metric: str) -> str:
    return str(found[metric]) if metric in found else "not measured"


def _total(one: Round) -> float:
    return sum(one.seconds.values())


def _besides(one: Round) -> float:
    return _total(one) - one.seconds.get(TRAINING, 0.0)
