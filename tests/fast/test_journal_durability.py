"""An acknowledged record is on disk: seen from outside the process that wrote it."""

import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmops.feedback.segments import is_alive, is_closed, segments
from tests.conftest import ROOT
from tests.records import read

WRITER = str(ROOT / "tests" / "fast" / "journal_writer.py")
CALL = re.compile(r"^(\d+) +(write|fdatasync|fsync)\((\d+)<([^>]*)>(.*)$")
MADE = re.compile(r'openat\(.* "([^"]+\.jsonl)", O_WRONLY\|O_CREAT')
RESUMED = re.compile(r"^(\d+) +<\.\.\. (write|fdatasync|fsync) resumed>(.*)$")


def start(*args: object, before: tuple[str, ...] = (), **kwargs: Any) -> "subprocess.Popen[str]":
    argv = [*before, sys.executable, WRITER, *map(str, args)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT, **kwargs)


def said(output: str) -> dict[str, set[str]]:
    """What was acknowledged and what refused; a last line that was cut short tells nothing."""
    found: dict[str, set[str]] = {"ack": set(), "refused": set()}
    for line in output[: output.rfind("\n") + 1].splitlines():
        word, name = line.split()
        found[word].add(name)
    return found


def kept(root: Path, writer: str) -> set[str]:
    """The ids of all records of a writer; every line must be whole."""
    ids: list[str] = []
    for segment in segments(root, writer):
        offset = 0
        while (chunk := read(segment, offset)).end > offset:
            assert not chunk.damaged
            ids += [record["id"] for record in chunk.records]
            offset = chunk.end
    assert len(ids) == len(set(ids))
    return set(ids)


class Trace:
    """What strace saw: which records were durable when each acknowledgement was written.

    A record is durable once its file was synced after the write, and the directory after the file
    was made.
    """

    def __init__(self, text: str) -> None:
        self.acknowledged: list[tuple[str, bool]] = []
        self.syncs = 0
        self.made: set[str] = set()
        self._written: dict[str, set[str]] = {}
        self._durable: set[str] = set()
        self._entered: set[str] = set()
        self._open: dict[str, tuple[str, str, set[str]]] = {}
        for line in text.splitlines():
            self._follow(line)

    def _follow(self, line: str) -> None:
        if made := MADE.search(line):
            self.made.add(made[1])
        elif begun := CALL.match(line):
            thread, call, handle, path, rest = begun.groups()
            if handle == "1":
                for name in re.findall(r"ack ([0-9-]+)", rest):
                    self.acknowledged.append((name, name in self._durable))
                return
            # A write counts from its end, a sync for what was written before its begin.
            ids = set(re.findall(r'\\"id\\": \\"([0-9-]+)\\"', rest))
            self._open[thread] = (call, path, ids or set(self._written.get(path, ())))
            if "<unfinished" not in rest:
                self._end(thread, rest)
        elif (ended := RESUMED.match(line)) and ended[1] in self._open:
            self._end(ended[1], ended[3])

    def _end(self, thread: str, rest: str) -> None:
        call, path, ids = self._open.pop(thread)
        if call == "write":
            self._written.setdefault(path, set()).update(ids)
        elif call == "fsync" and rest.endswith("= 0"):
            self._entered |= {file for file in self.made if file.rpartition("/")[0] == path}
        elif call == "fdatasync" and rest.endswith("= 0"):
            self._durable |= ids if path in self._entered else set()
            self.syncs += 1


def test_every_acknowledgement_follows_the_sync_of_its_record(tmp_path: Path) -> None:
    log = tmp_path / "strace"
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    calls = "trace=write,fdatasync,fsync,openat"
    flags = ("strace", "-f", "-y", "-s", "200000", "-e", calls, "-o", str(log))
    process = start(tmp_path / "journal", "w", 60, 6, 20_000, before=flags)
    output, _ = process.communicate(timeout=60)
    if process.returncode != 0 and not output:
        pytest.skip("strace cannot trace here")
    trace = Trace(log.read_text(encoding="utf-8"))
    assert len(said(output)["ack"]) == len(trace.acknowledged) == 60
    assert all(durable for _, durable in trace.acknowledged)
    assert len(trace.made) > 2
    assert 10 <= trace.syncs < 60, "one sync for what waited together"


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    process = start(tmp_path, "w", 10_000_000, 32)
    assert process.stdout is not None
    head = [process.stdout.readline() for _ in range(2000)]
    assert is_alive(tmp_path, "w")
    process.kill()
    output = "".join(head) + process.stdout.read()
    process.stdout.close()
    process.wait()
    assert len(segments(tmp_path, "w")) > 1
    assert said(output)["ack"] <= kept(tmp_path, "w")


def test_the_segments_of_a_killed_writer_are_closed(tmp_path: Path) -> None:
    process = start(tmp_path, "w", 10_000_000, 1, 1 << 30)
    assert process.stdout is not None
    process.stdout.readline()
    (segment,) = segments(tmp_path, "w")
    assert not is_closed(segment)
    process.kill()
    process.stdout.close()
    process.wait()
    assert is_closed(segment)


def test_two_writers_at_once_keep_apart(tmp_path: Path) -> None:
    processes = {name: start(tmp_path, name, 400, 4) for name in ("a", "b")}
    for name, process in processes.items():
        output, _ = process.communicate(timeout=60)
        assert said(output)["ack"] == kept(tmp_path, name)
        assert len(kept(tmp_path, name)) == 400


def limit_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_file_that_may_not_grow_keeps_what_it_acknowledged_and_nothing_else(
    tmp_path: Path,
) -> None:
    process = start(tmp_path, "w", 60, 3, 1 << 30, preexec_fn=limit_files(5000))
    output, _ = process.communicate(timeout=60)
    told = said(output)
    assert told["ack"]
    assert told["refused"]
    assert kept(tmp_path, "w") == told["ack"]


def test_a_full_disk_refuses_and_works_again_once_there_is_room(small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 200_000)
    process = start(small_disk / "journal", "w", 4000, 4)
    assert process.stdout is not None
    lines = []
    while not (lines and lines[-1].startswith("refused")):
        lines.append(process.stdout.readline())
    filler.unlink()
    while not lines[-1].startswith("ack"):
        lines.append(process.stdout.readline())
    process.kill()
    told = said("".join(lines) + process.stdout.read())
    process.stdout.close()
    process.wait()
    there = kept(small_disk / "journal", "w")
    assert told["ack"] <= there
    assert not there & told["refused"]
