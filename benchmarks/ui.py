"""The web UI in a real browser before real processes: first useful paint, tab switch, how far the
curves of a run in hand are behind, with nobody else looking and with nineteen others.

The project is that of the browser tests, with a run in hand that writes a step every second. Each
figure is taken in a context of its own, so nothing is cached, and by the page's own clock: from the
navigation or the click until what was asked for is visible. The others look at the live run
(crowd.py): they ask what a browser asks and draw nothing, since they have machines of their own.
"""

import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, Request, sync_playwright  # noqa: E402

from benchmarks.control import cpu_seconds  # noqa: E402
from benchmarks.crowd import Seen  # noqa: E402
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
_VISIBLE = """([button, shown]) => new Promise((told) => {
  const began = button ? performance.now() : 0;
  if (button) document.querySelector(button).click();
  const look = () => {
    if (document.querySelector(shown)?.checkVisibility()) told((performance.now() - began) / 1000);
    else requestAnimationFrame(look);
  };
  look();
})"""
FIRST = "first useful paint"
CPU = "CPU of UI and control together"
LIMITS = {FIRST: "2 s", "curves behind": "2 s", CPU: ""}
Figures = dict[str, list[float]]


class UiBench:
    def __init__(self, town: Street, run: str, browser: Browser) -> None:
        self.town, self.run, self.browser = town, run, browser

    def visit(self) -> Figures:
        """Seconds of the first useful paint and of the first visit to three other tabs."""
        with self._page() as page:
            found = {FIRST: [self._first(page)]}
            switches = []
            for tab in ("runs", "models", "train", "home", "runs"):
                switches.append(page.evaluate(_VISIBLE, [f"#tab-{tab}-button", SHOWN[tab]]))
                page.wait_for_timeout(300)
            return {**found, "tab switch, the first time": switches[:3], "again": switches[3:]}

    def arrive(self) -> float:
        """Seconds of the first useful paint when all open the page at the same moment."""
        with self._page() as page, self._crowd(OTHERS) as crowd:
            _tell(crowd, "")
            return self._first(page)

    def _first(self, page: Page) -> float:
        page.goto(f"{self.town.ui}/?tab=home", wait_until="commit")
        return float(page.evaluate(_VISIBLE, [None, SHOWN["home"]]))

    def behind(self) -> Figures:
        """For each step that was written while it was watched, seconds until the page showed it or
        a later one; and what that cost the two processes."""
        written: list[tuple[float, int]] = []
        stop = threading.Event()
        writer = threading.Thread(target=self._follow, args=(written, stop))
        with self._page() as page:
            page.goto(self._live)
            page.wait_for_selector("#run-progress")
            page.evaluate(_RECORD)
            writer.start()
            began, before = time.monotonic(), self._cpu()
            page.wait_for_timeout(WATCHED_SECONDS * 1000)
            share = (self._cpu() - before) / (time.monotonic() - began)
            stop.set()
            writer.join()
            page.wait_for_timeout(4000)
            shown = [(float(at), int(step)) for at, step in page.evaluate("window.steps")]
        lags = []
        for at, step in written:
            seen = [when for when, one in shown if one >= step]
            lags.append(max(0.0, min(seen) - at) if seen else 60.0)
        return {"curves behind": lags, CPU: [share]}

    def _cpu(self) -> float:
        return sum(cpu_seconds(self.town.processes[name].pid) for name in ("ui", "control"))

    @contextmanager
    def others(self, count: int) -> Iterator[None]:
        """So many more people who look at the run in hand."""
        if not count:
            yield
            return
        with self._crowd(count) as crowd:
            _tell(crowd, "")
            _await(crowd, "looking")
            yield

    @contextmanager
    def _crowd(self, count: int) -> Iterator["subprocess.Popen[str]"]:
        """Ready to open the page."""
        seen = json.dumps(asdict(self._seen()))
        argv = [sys.executable, str(ROOT / "benchmarks" / "crowd.py"), str(count)]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as crowd:
            try:
                _tell(crowd, seen)
                _await(crowd, "ready")
                yield crowd
            finally:
                crowd.terminate()

    def _seen(self) -> Seen:
        """What the page of a live run asks: at first, and again and again."""
        asked: list[Request] = []
        with self._page() as page:
            page.on("request", lambda one: asked.append(one))
            page.goto(self._live)
            page.wait_for_selector("#run-progress")
            page.wait_for_timeout(3000)
            paths = [one.url.removeprefix(self.town.ui) for one in asked]
            events = [i for i, one in enumerate(asked) if one.method == "POST"]
            bodies = [asked[i].post_data or "" for i in events]
        beat = next(one for one in paths if "/heartbeat/" in one)
        files = [one for one in paths[1 : events[0]] if one != beat]
        port = urlsplit(self.town.ui).port or 0
        return Seen(port, paths[0], files, beat, paths[events[-1]], bodies[0], bodies[-1])

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
                    told = {**bench.visit(), **bench.behind()}
                if count:
                    told[f"{FIRST}, {count + 1} at the same moment"] = [bench.arrive()]
                town.stop("live")
                for what, values in told.items():
                    found[name].setdefault(what, []).extend(values)
                print(f"  round {number + 1}/{rounds} {name}: {_short(told)}", flush=True)
        browser.close()
    return [
        (
            what,
            *(_median(what, found[name]) for name in sides),
            LIMITS.get(what.split(",")[0], "0.5 s"),
        )
        for what in found[f"with {OTHERS} others"]
    ]


def _tell(crowd: "subprocess.Popen[str]", line: str) -> None:
    assert crowd.stdin is not None
    crowd.stdin.write(line + "\n")
    crowd.stdin.flush()


def _await(crowd: "subprocess.Popen[str]", word: str) -> None:
    assert crowd.stdout is not None
    said = crowd.stdout.readline().strip()
    assert said == word, said


def _short(told: Figures) -> str:
    return ", ".join(f"{what} {statistics.median(values):.2f}" for what, values in told.items())


def _median(what: str, found: Figures) -> str:
    values = found.get(what)
    if not values:
        return ""
    unit = "% of a core" if what == CPU else " s"
    scale = 100 if what == CPU else 1
    places = 0 if what == CPU else 2
    middle, most = (scale * one for one in (statistics.median(values), max(values)))
    return f"{middle:.{places}f}{unit} (to {most:.{places}f})"
