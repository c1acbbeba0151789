"""Where one can chat: the gateway that the UI was given, and those of the deployments that run."""

from dataclasses import dataclass
from typing import Any

from llmops.ui.client import Api, Problem
from llmops.ui.gateway import Gateway, Model


@dataclass(frozen=True)
class Place:
    """A deployment that answers. url: of its gateway."""

    name: str
    url: str


async def places(api: Api) -> list[Place]:
    """All of them. Raises Problem when none can be found, with the reason."""
    found: dict[str, Place] = {}
    trouble: Problem | None = None
    for look in (_given, _running):
        try:
            for one in await look(api):
                found.setdefault(one.name, one)
        except Problem as problem:
            trouble = trouble or problem
    if not found and trouble is not None:
        raise trouble
    return list(found.values())


async def _given(api: Api) -> list[Place]:
    """The one of --gateway, by the name that it says."""
    url = api.client.gateway
    if url is None:
        return []
    models = await Gateway(api, url).models()
    names = [one.name for one in models if one.kind == "deployment"]
    return [Place(names[0] if names else url.partition("//")[2], url)]


async def _running(api: Api) -> list[Place]:
    listed = (await api.get("/deployments")).get("items") or []
    return [Place(one["name"], one["url"]) for one in listed if _answers(one)]


def _answers(one: dict[str, Any]) -> bool:
    return bool(one.get("running") and one.get("url"))


def named(found: list[Place], name: object) -> Place:
    """By its name. Raises Problem; a name of the browser never becomes an address."""
    for one in found:
        if one.name == name:
            return one
    raise Problem("that deployment does not run any more", fix="choose another one")


def choices(models: list[Model]) -> list[tuple[str, str]]:
    """Who may answer, as (title, name): the split first, then its variants, then versions."""
    order = {"deployment": 0, "variant": 1, "version": 2}
    found = sorted(models, key=lambda one: order.get(one.kind, 3))
    return [(_title(one), one.name) for one in found]


def _title(one: Model) -> str:
    if one.kind == "deployment":
        return "The traffic split"
    if one.kind == "variant" and one.version:
        return f"{one.name} · {one.version}"
    return one.name
