"""Numbers and times for people."""

from datetime import UTC, datetime


def number(value: float | int | None, *, digits: int = 3) -> str:
    """`12,345`, `0.0314`, `3.2e-05`; empty for None."""
    if value is None:
        return ""
    if abs(value) >= 1e15:
        return f"{value:.1e}"
    if isinstance(value, int) or (abs(value) >= 1000 and float(value).is_integer()):
        return f"{int(value):,}"
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def span(seconds: float | None) -> str:
    """`42 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`; empty for None."""
    if seconds is None:
        return ""
    left = max(0, round(seconds))
    if left < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{left} s"
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if left >= size:
            return f"{left // size} {unit} {left % size // below} {small}"
    return f"{left // 60} min {left % 60} s"


def moment(time: str | float | int | None) -> datetime | None:
    """ISO 8601, or milliseconds since 1970."""
    if time is None or time == "":
        return None
    if isinstance(time, int | float):
        return datetime.fromtimestamp(time / 1000, UTC)
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(time: str | float | int | None, now: datetime | None = None) -> str:
    """`5 min ago`, `in 2 h`, `20 Nov 2026`; empty for None."""
    found = moment(time)
    if found is None:
        return ""
    gap = ((now or datetime.now(UTC)) - found).total_seconds()
    size = abs(gap)
    if size < 45:
        return "now" if gap >= 0 else f"in {round(size)} s"
    if size >= 14 * 86400:
        return f"{found.day} {found:%b %Y}"
    count = (
        f"{round(size / 60)} min"
        if size < 3600
        else f"{round(size / 3600)} h"
        if size < 86400
        else f"{round(size / 86400)} d"
    )
    return f"{count} ago" if gap > 0 else f"in {count}"


def size(count: float | int | None) -> str:
    """Bytes as `12 kB`, `3.4 GB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit in ("B", "kB") else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
