"""How likely a version finds given texts: the log-probabilities of their tokens, from vLLM.

OpenAI's protocol has no such question; vLLM answers it with `prompt_logprobs`. The first token of a
text has no probability and does not count.
"""

from typing import TYPE_CHECKING

from llmops.evaluation.answers import Ask, Unanswerable, Value
from llmops.serving.endpoint import post

if TYPE_CHECKING:
    import httpx


def question(client: "httpx.Client", model: str, text: str) -> Ask:
    """Asks for `nll`, the negative natural log-likelihood of a text, and its `tokens`."""
    body = {
        "model": model,
        "prompt": text,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,
    }

    def ask() -> Value:
        choices = post(client, "/v1/completions", body).get("choices") or [{}]
        rows = choices[0].get("prompt_logprobs")
        if not rows:
            raise Unanswerable(
                "the server tells no `prompt_logprobs`, without which there is no perplexity",
                where="POST /v1/completions",
                fix="evaluate through a vLLM backend, or leave the metric out",
            )
        # Each row maps token ids to what is known of them, the token of the text first.
        found = [float(next(iter(row.values()))["logprob"]) for row in rows if row]
        return {"nll": -sum(found), "tokens": len(found)}

    return ask
