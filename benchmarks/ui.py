"""The web UI in a real browser before real processes: first useful paint, tab switch, how far the
curves of a run in hand are behind, with nobody else looking and with nineteen others.

The project is that of the browser tests, with a run in hand that writes a step every second. Each
figure is taken in a context of its own, so nothing is cached. The others look at the live run
(crowd.py): they ask what a browser asks and draw nothing, since they have machines of their own.
"""

import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from tests.browser.conftest import ARGS, CHROMIUM, WIDE  # noqa: E402
from tests.browser.street import Street, street  # noqa: E402

OTHERS = 19
WATCHED_SECONDS = 20.0
SHOWN = {
    "runs": "#runs-table",
    "models": "#tab-models .ll-table, #tab-models .ll-card",
    "train": "#train-fields",
    "home": "#home-loop",
}
_RECORD = """() => {
  window.steps = [];
  const note = () => {
    const step = /step ([0-9,]+)/.exec(document.querySelector('#run-progress')?.textContent ?? '');
    if (step) window.steps.push([Date.now() / 1000, Number(step[1].replaceAll(',', ''))]);
  };
  const all = {subtree: true, childList: true, characterData: true};
  new MutationObserver(note).observe(document.body, all);
}"""
Figures = dict[str, list[float]]


class UiBench:
    def __init__(self, town: Street, run: str, browser: Browser) -> None:
        self.town, self.run, self.browser = town, run, browser

    def visit(self) -> Figures:
        """Seconds of the first useful paint and of the first visit to three other tabs."""
        with self._page() as page:
            began = time.perf_counter()
            page.goto(f"{self.town.ui}/?tab=home")
            page.wait_for_selector(SHOWN["home"])
            found = {"first useful paint": [time.perf_counter() - began]}
            switches = []
            for tab in ("runs", "models", "train", "home", "runs"):
                began = time.perf_counter()
                page.click(f"#tab-{tab}-button")
                page.wait_for_selector(SHOWN[tab])
                switches.append(time.perf_counter() - began)
            return {**found, "tab switch, the first time": switches[:3], "again": switches[3:]}

    def behind(self) -> list[float]:
        """For each step that was written while it was watched, seconds until the page showed it or
        a later one."""
        written: list[tuple[float, int]] = []
        stop = threading.Event()
        writer = threading.Thread(target=self._follow, args=(written, stop))
        with self._page() as page:
            page.goto(self._live)
            page.wait_for_selector("#run-progress")
            page.evaluate(_RECORD)
            writer.start()
            page.wait_for_timeout(WATCHED_SECONDS * 1000)
            stop.set()
            writer.join()
            page.wait_for_timeout(4000)
            shown = [(float(at), int(step)) for at, step in page.evaluate("window.steps")]
        lags = []
        for at, step in written:
            seen = [when for when, one in shown if one >= step]
            lags.append(max(0.0, min(seen) - at) if seen else 60.0)
        return lags

    @contextmanager
    def others(self, count: int) -> Iterator[None]:
        """So many more people who look at the run in hand."""
        if not count:
            yield
            return
        url, body = self._asked()
        argv = [sys.executable, str(ROOT / "benchmarks" / "crowd.py"), url, body, str(count)]
        crowd = subprocess.Popen(argv)
        try:
            yield
        finally:
            crowd.terminate()
            crowd.wait()

    def _asked(self) -> tuple[str, str]:
        """What the page of a live run asks again and again: the address and the body."""
        asked: list[tuple[str, str]] = []
        with self._page() as page:
            page.on("request", lambda one: asked.append((one.url, one.post_data or "")))
            page.goto(self._live)
            page.wait_for_selector("#run-progress")
            page.wait_for_timeout(3000)
        return next(one for one in reversed(asked) if "event_data" in one[1])

    @property
    def _live(self) -> str:
        return f"{self.town.ui}/?tab=runs&run={self.run}"

    @contextmanager
    def _page(self) -> Iterator[Page]:
        context = self.browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
        try:
            yield context.new_page()
        finally:
            context.close()

    def _follow(self, written: list[tuple[float, int]], stop: threading.Event) -> None:
        """When which step came into the engine's log."""
        log = self.town.paths.run(self.run).attempt("dpo", 1).output / "trainer_log.jsonl"
        known = log.stat().st_size
        while not stop.wait(0.02):
            if (size := log.stat().st_size) != known:
                known = size
                step = re.findall(r'"current_steps": (\d+)', log.read_text("utf-8"))[-1]
                written.append((log.stat().st_mtime, int(step)))


def rows(folder: Path, rounds: int) -> list[Sequence[str]]:
    """A row for each figure: alone, with the others, the limit."""
    sides = {"alone": 0, f"with {OTHERS} others": OTHERS}
    found: dict[str, Figures] = {name: {} for name in sides}
    with street(folder / "town", hostile=False) as town, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        UiBench(town, "", browser).visit()  # once for what the processes keep
        for number in range(rounds):
            for name, count in sides.items():
                bench = UiBench(town, town.start_live(), browser)  # it ends by itself after a while
                with bench.others(count):
                    told: dict[str, Any] = {**bench.visit(), "curves behind": bench.behind()}
                town.stop("live")
                for what, values in told.items():
                    found[name].setdefault(what, []).extend(values)
                print(f"  round {number + 1}/{rounds} {name}: {_short(told)}", flush=True)
        browser.close()
    limits = {"first useful paint": "2 s", "curves behind": "2 s"}
    return [
        (what, *(_median(found[name][what]) for name in sides), limits.get(what, "0.5 s"))
        for what in found["alone"]
    ]


def _short(told: Figures) -> str:
    return ", ".join(f"{what} {statistics.median(values):.2f} s" for what, values in told.items())


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s (to {max(values):.2f})"
