"""`llmops replay`: what another version answers to the same messages and parameters.

It asks the version's backend, past the gateway, so that a replay is neither logged nor counted as
traffic. One answer proves little where answers are sampled; the result says when that is so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from llmops.engines.contract import Progress
from llmops.errors import BadInput
from llmops.feedback import query
from llmops.registry.manifest import VersionId
from llmops.serving.declared import find_deployment
from llmops.serving.endpoint import Endpoint, post, root_of
from llmops.serving.servers import Report, Servers
from llmops.spec.settings import Settings

_OURS = {"model", "stream", "stream_options", "n", "side_by_side", "user", "session"}
"""Of a request's parameters, what a second asking of one version does without."""
_TIMEOUT = 600.0
_ELSEWHERE = "name its file with --deployment, or a server with --url"


@dataclass(frozen=True)
class Replayed:
    """Two answers to one request. before, after: their texts, None where there was none; version:
    who gave the first, on: who was asked now. note: what to think of a difference."""

    id: str
    version: str
    on: str
    messages: list[Any] | None
    prompt: Any
    before: str | None
    after: str | None
    finish: str | None
    note: str


def replay(
    settings: Settings,
    database: sa.Engine,
    name: str,
    on: str,
    *,
    url: str | None = None,
    deployment: Path | None = None,
    report: Report = lambda progress: None,
) -> Replayed:
    """Ask `on` (NAME:vN, or a server's own name for a model at `url`) what answer `name` answered.

    Without a URL, the deployment that gave the answer is asked; it is started when nobody serves
    it. deployment: its file, when it does not lie in serving/. Raises BadInput or Failed.
    """
    record = query.inference(database, name)
    path, body = _request(record)
    if url is not None:
        endpoint = Endpoint(root_of(url))
        found = _ask(endpoint, path, {**body, "model": on})
    else:
        _check_version(on)
        file = deployment or find_deployment(record["deployment"], settings, fix=_ELSEWHERE).path
        with _answering(settings, file, on, report) as (endpoint, model):
            found = _ask(endpoint, path, {**body, "model": model})
    choice = (found.get("choices") or [{}])[0]
    text = (choice.get("message") or {}).get("content") or choice.get("text")
    before = (record["choices"] or [{}])[0].get("text")
    return Replayed(
        id=record["id"],
        version=record["version"],
        on=on,
        messages=record["messages"],
        prompt=record["prompt"],
        before=before,
        after=text,
        finish=choice.get("finish_reason"),
        note=_note(body, same=before == text),
    )


def _request(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path and body that ask the same again, but for the model."""
    parameters = {k: v for k, v in (record["parameters"] or {}).items() if k not in _OURS}
    if record["endpoint"] == "completions":
        return "/v1/completions", {**parameters, "prompt": record["prompt"]}
    if record["messages"] is None:
        raise BadInput(f"nothing was asked in `{record['id']}`: it holds no messages")
    return "/v1/chat/completions", {**parameters, "messages": record["messages"]}


def _check_version(text: str) -> None:
    try:
        VersionId.parse(text)
    except ValueError as error:
        fix = "`llmops models list` shows the versions; --url takes any name"
        raise BadInput(str(error), where="--on", fix=fix) from None


@contextmanager
def _answering(
    settings: Settings, file: Path, version: str, report: Report
) -> Iterator[tuple[Endpoint, str]]:
    servers = Servers(settings)
    try:
        report(Progress(f"reaching {version}"))
        with servers.answering(file, [version], report) as found:
            yield found[version].endpoint, found[version].model
    finally:
        servers.close()


def _ask(endpoint: Endpoint, path: str, body: dict[str, Any]) -> dict[str, Any]:
    with endpoint.client(timeout=_TIMEOUT) as client:
        return post(client, path, body)


def _note(body: dict[str, Any], *, same: bool) -> str:
    temperature = body.get("temperature")
    if temperature == 0:
        return "temperature 0: what differs comes from the version" if not same else ""
    how = f"temperature {temperature}" if temperature is not None else "the server's temperature"
    seed = f", seed {body['seed']}" if body.get("seed") is not None else ", no seed"
    return f"sampled ({how}{seed}): part of any difference is chance"
