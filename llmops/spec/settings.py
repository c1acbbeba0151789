"""Settings of a project: `llmops.toml`, then `LLMOPS_*` from the environment over it.

[engines.llamafactory]
python = "/opt/lf/bin/python"      # an environment of your own instead of the installed one

LLMOPS_ENGINES_LLAMAFACTORY_PYTHON   the same from the environment
LLMOPS_CACHE                         where engine environments are kept (in the file: `cache`)
LLMOPS_DATABASE                      the database's URL (in the file: `database`)

[cost]                           # for plans
device_hour = 2.5                # what an hour of one device costs
currency = "EUR"

[hub]
organization = "acme"            # a model goes to acme/NAME on the Hub (`llmops models push`)
repositories.town = "acme/city"  # ... unless it is to go elsewhere

[[notify]]                       # who is told of failed runs, promotions, ... (spec/notify.py)
url = "https://example.org/hook"
on = ["failed", "approval"]
secret_env = "LLMOPS_NOTIFY_SECRET"

[aliases.town.production]        # what a move of this alias needs (spec/policy.py)
needs = ["experiment"]
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from llmops.errors import BadInput
from llmops.spec.grammar import Name, Spec
from llmops.spec.notify import Notify
from llmops.spec.policy import EVERY, Policies, Policy
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean, unfit

FILE = "llmops.toml"
ENGINES = ("llamafactory", "vllm")
_PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}"
REPOSITORY = rf"^{_PART}/{_PART}$"
"""ORG/REPO, as the Hub names a repository."""


Device = Literal["cpu", "cuda"]


class EngineSettings(Spec):
    """python: the interpreter of an environment of the user's own that holds the engine."""

    python: Path | None = None
    lock: str | None = None


class EnginesSettings(Spec):
    """device: which of the shipped environments; None for the one that suits this machine."""

    device: Device | None = None
    llamafactory: EngineSettings = Field(default_factory=EngineSettings)
    vllm: EngineSettings = Field(default_factory=EngineSettings)


class Cost(Spec):
    """device_hour: the price of an hour of one device; None where none is declared."""

    device_hour: float | None = Field(None, ge=0)
    currency: str = ""

    def of(self, seconds: float | None, devices: int) -> str:
        """The price of so long; empty where one of both is not known."""
        if seconds is None or self.device_hour is None:
            return ""
        return f"{seconds / 3600 * devices * self.device_hour:.2f} {self.currency}".strip()


Repository = Annotated[str, Field(pattern=REPOSITORY)]


class HubSettings(Spec):
    """Where models are pushed to. organization: as ORGANIZATION/NAME, but for those that have a
    repository of their own in `repositories`, ORG/REPO by name."""

    organization: str | None = Field(None, pattern=rf"^{_PART}$")
    repositories: dict[Name, Repository] = Field(default_factory=dict)

    def repository(self, name: str) -> str | None:
        """Of a model; None where nothing is declared."""
        named = self.organization and f"{self.organization}/{name}"
        return self.repositories.get(name, named)


class Settings(Spec):
    """root: the project's directory, which holds llmops.toml; cache: shared between projects;
    database: a URL, sqlite:///FILE or postgresql://...; None for SQLite in the project."""

    root: Path
    cache: Path
    database: str | None = Field(None, repr=False, description="may hold a password")
    engines: EnginesSettings = Field(default_factory=EnginesSettings)
    cost: Cost = Field(default_factory=Cost)
    notify: list[Notify] = Field(default_factory=list)
    hub: HubSettings = Field(default_factory=HubSettings)
    aliases: Policies = Field(default_factory=dict)

    def policy(self, name: str, alias: str) -> Policy | None:
        """What llmops.toml declares for an alias of model `name`: its own first."""
        declared = (self.aliases.get(model, {}).get(alias) for model in (name, EVERY))
        return next((one for one in declared if one is not None), None)

    def engine(self, name: str) -> EngineSettings:
        found: EngineSettings = getattr(self.engines, name)
        return found


def find_root(start: Path) -> Path:
    """The nearest directory at or above `start` with a llmops.toml; `start` itself without one."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    return start


def load_settings(start: Path | None = None) -> Settings:
    """The settings that hold in `start` (default: the working directory)."""
    root = find_root((start or Path.cwd()).resolve())
    file = root / FILE
    data: dict[str, Any] = {}
    if file.is_file():
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadInput(f"not valid TOML: {error}", where=display(file)) from error
    engines = data.setdefault("engines", {})
    if os.environ.get("LLMOPS_ENGINES_DEVICE") and isinstance(engines, dict):
        engines["device"] = os.environ["LLMOPS_ENGINES_DEVICE"]
    for name in ENGINES:
        python = os.environ.get(f"LLMOPS_ENGINES_{name.upper()}_PYTHON")
        if python and isinstance(engines, dict):
            engines.setdefault(name, {})["python"] = python
    data["root"] = root
    if os.environ.get("LLMOPS_DATABASE"):
        data["database"] = os.environ["LLMOPS_DATABASE"]
    if "cache" not in data or os.environ.get("LLMOPS_CACHE"):
        data["cache"] = _default_cache()
    elif isinstance(data["cache"], str):
        data["cache"] = root / Path(data["cache"]).expanduser()
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        item = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in item["loc"])
        place = f"LLMOPS_{key.replace('.', '_').upper()}"
        where = place if os.environ.get(place) else f"{display(file)} {key}"
        if item["type"] == "extra_forbidden":
            known = _known(item["loc"])
            raise BadInput(
                f"unknown key `{key}`",
                where=display(file),
                fix=did_you_mean(str(item["loc"][-1]), known),
            ) from error
        raise BadInput(unfit(item), where=where) from error


def _known(place: tuple[int | str, ...]) -> list[str]:
    """The keys that there are at the place of an unknown one."""
    if len(place) == 1:
        return [*Settings.model_fields]
    tables: dict[str, type[Spec]] = {
        "notify": Notify,
        "cost": Cost,
        "hub": HubSettings,
        "aliases": Policy,
    }
    if place[0] in tables:
        return [*tables[str(place[0])].model_fields]
    return [*ENGINES, "device", "python", "lock"]


def _default_cache() -> Path:
    given = os.environ.get("LLMOPS_CACHE")
    if given:
        return Path(given).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "llmops"
