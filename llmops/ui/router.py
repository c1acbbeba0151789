"""The one component through which a page tells the server what happened (page.js).

It is invisible. Its events are named: `show_TAB`, `tick_TAB`, `do_ACT`; its value, when a function
sets it, is where to go.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmops.ui.frame import Listener

SCRIPT = Path(__file__).with_name("page.js")


def add_router(
    router: Any,
    tabs: Sequence[str],
    ticks: Mapping[str, float],
    listeners: Sequence[Listener],
) -> None:
    """Render it, after all tabs. tabs: ids, the first is where a bare address leads; ticks:
    seconds by tab."""
    names = sorted({one.event for one in listeners})
    given = {"tabs": list(tabs), "ticks": dict(ticks), "events": names}
    script = SCRIPT.read_text(encoding="utf-8").replace("/* given */ null", json.dumps(given))
    router.js_on_load = script
    router.render()
    for one in listeners:
        listen: Any = getattr(router, one.event)
        outputs = [*one.outputs, router] if one.goes else one.outputs
        # page.js waits for the answer to one before it tells the next; Gradio's own ways to wait
        # lose what the later one was about.
        mode = "once" if one.event.startswith("tick_") else "multiple"
        listen(one.handler, one.inputs, outputs, **{"trigger_mode": mode, **one.options})
