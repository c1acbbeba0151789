"""The grammar of what starts a pipeline by itself, and of what holds it back."""

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from llmops.spec.grammar import Duration, Name, Spec, seconds


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(
            f"`{text}` is not a cron expression ({error}); such as `0 3 * * 1`"
        ) from error
    return text


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"`{text}` is not a time zone; such as Europe/Berlin") from error
    return text


Cron = Annotated[str, AfterValidator(_cron), Field(description="minute hour day month weekday")]
Zone = Annotated[str, AfterValidator(_zone), Field(description="of the IANA database")]


class FeedbackTrigger(Spec):
    """Enough new pairs. new_pairs: usable ones that the newest snapshot does not hold; recipe: of
    the preferences (default: the pipeline's only one); cooldown: since the last firing."""

    new_pairs: int = Field(ge=1)
    cooldown: Duration = "0s"
    recipe: str | None = None


class Trigger(Spec):
    """One reason to run the pipeline: exactly one of `cron`, `every`, `feedback`, `webhook`.

    {cron: "0 3 * * 1", timezone: Europe/Berlin}
    {every: 6h}
    {feedback: {new_pairs: 500, cooldown: 24h}}
    {webhook: LLMOPS_HOOK_SECRET}      # POST /hooks/PIPELINE/NAME, signed with that secret
    """

    name: Name | None = Field(None, description="default: its kind, numbered from the second on")
    cron: Cron | None = None
    timezone: Zone = "UTC"
    every: Duration | None = None
    feedback: FeedbackTrigger | None = None
    webhook: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = Field(
        None, description="the environment variable with the secret that callers sign with"
    )
    set: dict[str, Any] = Field(default_factory=dict, description="overrides, by dotted key")
    catch_up: Literal["latest", "all", "none"] = Field(
        "latest", description="what becomes of times that passed while no scheduler ran"
    )
    approval: bool = Field(False, description="a person must agree before it starts")

    @property
    def kind(self) -> str:
        return next(k for k in ("cron", "every", "feedback", "webhook") if getattr(self, k))

    @model_validator(mode="after")
    def _one_of(self) -> "Trigger":
        given = [
            k for k in ("cron", "every", "feedback", "webhook") if getattr(self, k) is not None
        ]
        if len(given) != 1:
            raise ValueError("a trigger has exactly one of `cron`, `every`, `feedback`, `webhook`")
        if "timezone" in self.model_fields_set and self.cron is None:
            raise ValueError("`timezone` has no meaning without `cron`")
        if self.every is not None and seconds(self.every) < 1:
            raise ValueError("`every` is at least 1s")
        return self


class Limits(Spec):
    """What the pipeline's triggers may spend; a start by hand counts, and is never held back."""

    runs_a_day: int | None = Field(None, ge=1, description="started within the last 24 hours")
    device_hours_a_month: float | None = Field(
        None, gt=0, description="devices times hours, since the first of the month (UTC)"
    )


def named(triggers: list[Trigger]) -> dict[str, Trigger]:
    """The triggers by their names. Raises ValueError for a name that is given twice."""
    found: dict[str, Trigger] = {}
    unnamed: Counter[str] = Counter()
    for trigger in triggers:
        name = trigger.name
        if name is None:
            unnamed[trigger.kind] += 1
            number = unnamed[trigger.kind]
            name = trigger.kind if number == 1 else f"{trigger.kind}-{number}"
        if name in found:
            raise ValueError(f"two triggers are named `{name}`")
        found[name] = trigger
    return found
