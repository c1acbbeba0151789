"""How much memory a training's processes take, by real processes."""

import subprocess
import sys

HELD = 80_000_000
CHILD = f"held = bytearray({HELD}); print('up', flush=True); input()"
# Its child is in a session of its own, as torchrun's workers are.
PARENT = f"""\
import subprocess, sys
from llmops.engines.llamafactory.worker.footprint import Footprint
pipe = subprocess.PIPE
argv = [sys.executable, "-c", {CHILD!r}]
footprint = Footprint()
{{before}}
child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True)
child.stdout.readline()
print(footprint.look())
child.communicate(b"\\n")
print(footprint.look())
"""
ALONE = f"""\
from llmops.engines.llamafactory.worker.footprint import Footprint
held = bytearray({HELD})
held = None
print(Footprint().look())
"""


def told(text: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_what_all_processes_take_counts_and_the_most_is_kept() -> None:
    together, afterwards = told(PARENT.format(before=""))
    assert together > HELD
    assert afterwards == together


def test_where_there_were_none_the_next_look_at_others_is_later_too() -> None:
    never = "from llmops.engines.llamafactory.worker import footprint as it; it.EVERY = 1e9"
    together, _ = told(PARENT.format(before=f"{never}; footprint.look()"))
    assert 0 < together < HELD


def test_of_one_process_it_is_its_peak() -> None:
    assert told(ALONE)[0] > HELD
