"""`llmops scheduler`: only the schedules and the queue, without the API."""


def command() -> None:
    """Start what is scheduled and what is queued, until Ctrl-C. `llmops control` does so too.

    Any number may run on one database: each run is started once. What it started goes on when it
    ends.

    Example: llmops scheduler
    """
    from llmops.cli.output import note
    from llmops.control.server import schedule_only
    from llmops.spec.settings import load_settings

    schedule_only(load_settings(), note)
