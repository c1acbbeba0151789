"""The errors that a user sees: what is wrong, where, and what to do.

The CLI prints them without a traceback and exits with `exit_code`; anything else that is raised
is a defect and keeps its traceback.
"""


class LlmopsError(Exception):
    """Base of all errors meant for the user.

    what: one sentence saying what is wrong. where: file, line and key, or any other place.
    fix: what to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    @property
    def line(self) -> str:
        """Without what to do."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        return f"{self.line}\n  -> {self.fix}" if self.fix else self.line


class Failed(LlmopsError):
    """Something that was started did not succeed."""

    exit_code = 1


class Passing(Failed):
    """For a cause that may pass by itself: worth another try."""


class OutOfMemory(Failed):
    """It needed more memory than there is, and would again. less: overrides with which it would
    need less; empty where none are known."""

    less = ""


class BadInput(LlmopsError):
    """The input is wrong; nothing was started."""

    exit_code = 2


class NotFound(BadInput):
    """It names a thing that is not there; the API answers 404."""


class GateRefused(LlmopsError):
    """A gate lacks the evidence that it asks for. Nothing was moved."""

    exit_code = 3


class Waiting(LlmopsError):
    """The evidence that is needed has yet to come; nothing is wrong."""

    exit_code = 0


class Interrupted(LlmopsError):
    """The user, or the system, asked it to stop."""

    exit_code = 130
