"""Runs and stages that wait for a person: the two buttons, and what they do."""

from llmops.ui.button import act
from llmops.ui.client import segment
from llmops.ui.frame import Ask, Ui
from llmops.ui.markup import Html, tag


def decide(tab: str, run: str, stage: str = "") -> Html:
    """Approve and Reject, each with a reason. tab: whose page they stand on (`listen`); stage:
    empty for a run that waits to begin."""
    value = f"{run}/{stage}" if stage else run
    what = f"{stage} of {run}" if stage else run
    return tag(
        "span",
        [
            act(
                word,
                f"{word.lower()}_{tab}",
                value,
                kind=kind,
                confirm=f"{word} {what}? The reason is kept with the decision.",
                why="Why",
                aria_label=f"{word} {what}",
            )
            for word, kind in (("Approve", "primary"), ("Reject", "danger"))
        ],
        class_="ll-row",
    )


def listen(ui: Ui) -> None:
    """Let those buttons work in the tab that is built."""

    async def tell(ask: Ask, decision: str) -> None:
        run, _, stage = ask.value.partition("/")
        body = {"stage": stage or None, "decision": decision, "note": ask.why}
        await ask.api.post(f"/runs/{segment(run)}/approve", body)
        word = "approved" if decision == "approve" else "rejected"
        ask.say(f"{stage or run} is {word}.")
        ask.go(**ask.query)

    async def approve(ask: Ask) -> None:
        await tell(ask, "approve")

    async def reject(ask: Ask) -> None:
        await tell(ask, "reject")

    ui.on_do(f"approve_{ui.tab}", approve)
    ui.on_do(f"reject_{ui.tab}", reject)
