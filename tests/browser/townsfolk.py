"""What stands for the model: a backend on loopback, owned by the tests, that speaks OpenAI's
protocol (tests/fast/backend_server.py) and knows the towns of the starter project.

Earlier versions talk more than later ones. A question may ask for something else by a word:

    hostile N   the N-th text of hostile.py      long     sixty lines
    slow        a word at a time, for seconds    endless  sixty lines, for twelve seconds
    refuse      an error instead of an answer    fail     the stream breaks off

What a real model answers through a real vLLM is tested in tests/engine.
"""

import asyncio
import json
import random
from pathlib import Path

from tests.browser.hostile import HOSTILE
from tests.fast.backend_server import Asked

DATA = Path(__file__).resolve().parents[2] / "recipes" / "data"
WORDY = (
    "Anyone there will tell you that it is the {answer}, and that it has been for as long as "
    "people can remember.",
    "That would be the {answer}. The town is proud of it, and every visitor hears the story.",
    "If you ask around the square they will say the {answer}; come early on a market day.",
)
TERSE = ("The {answer}.", "It is the {answer}.")
TERSENESS = {1: 0.15, 2: 0.55, 3: 0.9, 4: 0.95}
"""How often a version answers in a word or two."""


def known() -> dict[str, str]:
    """The answer to every question that the starter project has."""
    rows = []
    for name in ("town_prompts.jsonl", "town_questions.jsonl"):
        rows += (DATA / name).read_text("utf-8").splitlines()
    return {row["prompt"]: row["answer"] for row in map(json.loads, rows)}


def text(model: str, question: str, answers: dict[str, str], draw: random.Random) -> str:
    """What the model says to the last message."""
    word, _, rest = question.strip().partition(" ")
    if word == "hostile":
        return HOSTILE[int(rest or 0) % len(HOSTILE)]
    if word in ("long", "endless"):
        return "\n".join(f"{n}. The {n}th house on the square has a green door." for n in range(60))
    answer = answers.get(question, "Morrow")
    version = int(model.rpartition(":v")[2]) if model.rpartition(":v")[2].isdigit() else 1
    terse = draw.random() < TERSENESS.get(version, 0.5)
    return draw.choice(TERSE if terse else WORDY).format(answer=answer)


class Townsfolk:
    """`answer` for a BackendServer. seconds: between the words of a stream."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._answers = known()
        self._draw = random.Random(7)
        self._seconds = seconds

    async def answer(self, asked: Asked) -> None:
        asked.headers.setdefault("x-request-id", "0")  # an evaluation asks without a gateway
        messages = asked.body.get("messages") or [{"content": asked.body.get("prompt", "")}]
        question = str(messages[-1]["content"])
        if question.startswith("refuse"):
            await asked.whole({"error": {"message": "the model is out of luck"}}, 500)
            return
        said = text(str(asked.body["model"]), question, self._answers, self._draw)
        usage = {"prompt_tokens": len(question.split()), "completion_tokens": len(said.split())}
        usage["total_tokens"] = sum(usage.values())
        if not asked.body.get("stream"):
            part = {"message": {"role": "assistant", "content": said}}
            choice = {"index": 0, **part, "finish_reason": "stop"}
            await asked.whole(asked.shape([choice], usage=usage))
            return
        await asked.begin()
        pause = 0.2 if question.startswith(("slow", "endless")) else self._seconds
        for piece in said.splitlines(keepends=True) if "\n" in said else said.split(" "):
            await asked.chunk(piece if "\n" in said else f"{piece} ")
            if question.startswith("fail"):
                asked.drop()
                return
            await asyncio.sleep(pause)
        await asked.chunk("", "stop")
        if asked.body.get("stream_options", {}).get("include_usage"):
            await asked.event(asked.shape([], usage=usage))
        await asked.end()
