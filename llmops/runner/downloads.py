"""What a run downloads from the Hugging Face Hub before a stage can begin: known to its plan by
commit, files and sizes, and then an input like any other that has yet to be made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.engines.shape import Shape, more_than_text, shape_of_architecture
from llmops.errors import BadInput
from llmops.registry.files import ADAPTER_CONFIG
from llmops.registry.hub.cache import hub_cache
from llmops.registry.hub.listing import Listing, listings_for
from llmops.registry.hub.transfer import fetch, free_bytes, remember
from llmops.runner.stage import Pending
from llmops.spec.source import display


@dataclass(frozen=True)
class Download(Pending):
    """id: of the input, pinned; listings: what is to come, an adapter before its base."""

    id: str = ""
    listings: tuple[Listing, ...] = ()

    @property
    def place(self) -> Path:
        """Where the first of it will lie: a model's directory, or a file of data."""
        return self.listings[0].snapshot / self.listings[0].asked.file

    @property
    def size(self) -> int:
        """Bytes to come."""
        return sum(listing.size for listing in self.listings)

    def describe(self) -> dict[str, Any]:
        """As a plan shows it."""
        return {
            "id": self.id,
            "digest": None,
            "downloads": [str(listing.pinned) for listing in self.listings],
            "download_bytes": self.size,
            "into": display(hub_cache()),
            "free_bytes": free_bytes(),
        }

    def fetch(self, told: Callable[[int, int], None]) -> None:
        """Bring all of it. Raises as registry.hub.transfer.fetch."""
        for listing in self.listings:
            if listing.missing:
                fetch(listing, told)


def download_of(error: BadInput, id: str, where: str) -> Download | None:
    """What would bring the input whose look-up ended with `error`, because something of the Hub is
    not cached; None when it is here after all. id: of the input, unless that is at the Hub itself.
    Raises as `listings_for`.
    """
    listings = listings_for(error, where=where)
    first = listings[0]
    if not any(listing.missing for listing in listings):
        remember(first)
        return None
    config = first.texts.get(ADAPTER_CONFIG)
    return Download(
        node=str(first.pinned),
        kind="full" if config is None else "adapter",
        model=first.asked.target,
        shape=_shape(listings[-1].texts.get("config.json", {})),
        rank=config.get("r") if config else None,
        id=id or str(first.pinned),
        listings=tuple(one for one in listings if one.missing),
    )


def _shape(config: Mapping[str, Any]) -> Shape | None:
    width = 4 if (config.get("dtype") or config.get("torch_dtype")) == "float32" else 2
    known = isinstance(config.get("vocab_size"), int) and not more_than_text(config)
    return shape_of_architecture(config, config["vocab_size"], width) if known else None
