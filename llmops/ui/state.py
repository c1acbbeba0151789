"""States as people read them: a word with a colour and a mark, never a colour alone."""

from llmops.ui.markup import Html, tag

_TONES = {
    "running": "live", "starting": "live", "ready": "good", "done": "good", "reused": "good",
    "passed": "good", "failed": "bad", "died": "bad", "refused": "bad", "waiting": "warn",
    "approval": "warn", "queued": "quiet", "interrupted": "quiet", "cancelled": "quiet",
    "to come": "quiet", "better": "good", "not worse": "good", "worse": "bad",
    "paused": "warn", "halted": "bad",
    "broken": "bad", "restarting": "warn", "held": "warn", "idle": "quiet", "stopped": "quiet",
}  # fmt: skip


def tone(state: str) -> str:
    """live, good, bad, warn or quiet."""
    return _TONES.get(state, "quiet")


def badge(state: str, text: object = None) -> Html:
    """text: instead of the state itself."""
    return tag("span", state if text is None else text, class_=f"ll-badge ll-{tone(state)}")
