"""The records of the journal: what an inference and a feedback event look like on disk.

One JSON object to a line, written by a gateway, moved into the database by the ingester
(ingest.py). Times are milliseconds since 1970, durations milliseconds. Unknown keys are kept out:
whoever adds one adds a column, or puts it into `detail`.
"""

from typing import Any, Literal, TypedDict

FORMAT = 1

FeedbackKind = Literal[
    "thumbs", "rating", "edit", "comment", "choice", "regenerate", "engagement", "metric"
]


class InferenceRecord(TypedDict, total=False):
    """One answer, or the failure to give one, with the exposure that it is.

    id: the inference id. unit: what was assigned, `user:HMAC`, `session:HMAC`,
    `conversation:HASH` or `request:ID`; empty for one that named its variant or version itself,
    which is no exposure. user, session: HMACs or None. endpoint: chat or completions.
    messages: of a chat; prompt: of a completion, as given. parameters: the rest of the request.
    choices: [{"index", "text", "tool_calls", "finish_reason"}]. tokens and times as far as known.
    status: the HTTP status that the client got. error: why there is no whole answer.
    group, position: of a side-by-side comparison (0 or 1). source: None for real traffic,
    `simulated:NAME`, ...
    """

    format: int
    type: Literal["inference"]
    id: str
    time: int
    deployment: str
    variant: str
    version: str
    generation: int
    unit: str
    user: str | None
    session: str | None
    endpoint: Literal["chat", "completions"]
    stream: bool
    messages: list[Any] | None
    prompt: Any
    parameters: dict[str, Any]
    choices: list[dict[str, Any]]
    prompt_tokens: int | None
    completion_tokens: int | None
    first_token_ms: float | None
    total_ms: float
    status: int
    error: str | None
    group: str | None
    position: int | None
    source: str | None


class FeedbackRecord(TypedDict, total=False):
    """One feedback event.

    id: `EVENT_ID@INFERENCE` of a client's own `event_id`, or one made by the gateway; the same id
    twice is one event.
    inference: what it is about. other: the second answer of a choice, or the one that a
    regenerated answer replaced. By kind:
      thumbs      value 1 (up) or 0 (down)
      rating      value, scaled to 0..1 by the gateway; `detail` holds the scale and the raw value
      edit        text: what the answer should have been
      comment     text
      choice      choice: `first` (inference), `second` (other), `tie` or `both_bad`
      regenerate  inference: the one kept; other: the one discarded
      engagement  name (copied, accepted, ...), value: a number, default 1
      metric      name, value: a number, or 0 and 1 for a boolean
    user: who rated, as an HMAC; None when the rater is whoever asked. source: as an inference's.
    """

    format: int
    type: Literal["feedback"]
    id: str
    time: int
    deployment: str
    inference: str
    other: str | None
    kind: FeedbackKind
    name: str | None
    value: float | None
    choice: Literal["first", "second", "tie", "both_bad"] | None
    text: str | None
    detail: dict[str, Any]
    user: str | None
    source: str | None
