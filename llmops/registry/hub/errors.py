"""How the Hub is away, busy, or of another opinion."""

from llmops.errors import Failed, Passing


class HubAway(Passing):
    """It cannot be reached from here now: what was meant for it can wait."""


class HubBusy(HubAway):
    """It answered that it cannot now, or the connection broke. after: seconds that it asks to wait,
    where it does."""

    def __init__(
        self, what: str, *, where: str = "", fix: str = "", after: float | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.after = after


class Conflict(Failed):
    """What is there now is not what was looked at before: 409, 412."""
