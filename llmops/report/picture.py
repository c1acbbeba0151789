"""The report as a picture, by a browser of the Chromium family if this machine has one."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from llmops.errors import BadInput, Failed

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH = 1100
SECONDS = 60
PIXELS = {"section": 130, "tr": 38, "figure": 125, "h3": 43, "li": 26, "p": 27}
"""What an element adds to the page's height; two figures stand side by side, so one is half."""
CHARACTERS = 90
"""On a line, at the least."""


def picture(page: Path, to: Path) -> None:
    """Write `page` as PNG. Raises BadInput without a browser, Failed when it makes none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise BadInput(
            f"a PNG needs Chromium or Chrome, and there is neither; {page} is written",
            fix="install one, or print the page from any browser",
        )
    with tempfile.TemporaryDirectory() as profile:
        argv = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        argv += [f"--user-data-dir={profile}", f"--screenshot={to}"]
        argv += [f"--window-size={WIDTH},{_height(page.read_text(encoding='utf-8'))}"]
        try:
            done = subprocess.run(
                [*argv, page.resolve().as_uri()], capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{browser} made no picture within {SECONDS} s") from error
    if done.returncode or not to.is_file():
        raise Failed(f"{browser} made no picture", fix=done.stderr.strip()[-500:])


def _height(html: str) -> int:
    """Pixels that surely hold the page: the browser takes a picture of its window, not of all."""
    body = html.partition("</style>")[2]
    found = Counter(re.findall(r"<(\w+)", body))
    blocks = sum(found[name] * each for name, each in PIXELS.items())
    texts = re.findall(r"<(p|li|td)\b[^>]*>(.*?)</\1>", body, re.DOTALL)
    return 150 + blocks + sum(len(text) // CHARACTERS * 25 for _, text in texts)
