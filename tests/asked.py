"""Many questions to a served model at once, as applications ask them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from llmops.serving.client import Answer, answer, request
from llmops.serving.endpoint import Endpoint


def ask(
    endpoint: Endpoint, model: str, prompts: Sequence[str], max_tokens: int = 64
) -> list[Answer]:
    """The answers in the order of the prompts. Raises Failed."""
    bodies = [request(model, p, max_tokens=max_tokens, temperature=0.0) for p in prompts]
    with endpoint.client() as client, ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda body: answer(client, body), bodies))
