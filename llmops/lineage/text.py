"""A lineage as lines for a person: what was asked for, then every version in a block of its own.

So a chain of thirty generations reads as well as one of two. `drawn` gives the branches that a
terminal shows; without, they are told by their indentation alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from llmops.lineage.graph import Edge, Graph, Node

Branch = tuple[str, "list[Branch]"]
_STATES = {
    "changed": "changed since",
    "missing": "MISSING",
    "deleted": "deleted",
    "erased": "partly erased",
    "unreadable": "UNREADABLE",
}
_SHOWN = 20
"""Of those that are joined to one node in the same way."""
_MODELS = ("version", "model")
_ORDER = (
    *("named by", "was named by", "served by", "loaded by", "on the Hub as", "made by", "recipe"),
    *(
        "imported from",
        "trained on",
        "validated with",
        "trained from",
        "made from",
        "base",
        "measured by",
    ),
)


def lines(graph: Graph, *, drawn: bool) -> list[str]:
    """All of it. drawn: with the glyphs of a tree."""
    found: list[str] = []
    for id in (*graph.about, *_versions(graph)):
        node = graph[id]
        found += ["", _head(node)] if found else [_head(node)]
        found += _tree(_branches(graph, node), drawn)
        found += _summary(graph) if id in graph.about else []
    return found + [f"note: {one}" for one in graph.notes]


def _versions(graph: Graph) -> list[str]:
    """Those that there is more to tell of than that they are there, but for those asked for."""
    found = [one for one in graph.nodes if one.kind == "version" and one.id not in graph.about]
    if not _backward(graph):
        return [one.id for one in found if "touched" in one.facts]
    return [one.id for one in found if any(e.source not in graph.about for e in graph.into(one.id))]


def _summary(graph: Graph) -> list[str]:
    """How many versions something went into; nothing where that was not asked."""
    if _backward(graph):
        return []
    how = [one.facts["touched"] for one in graph.nodes if "touched" in one.facts]
    direct = how.count("directly")
    if not how:
        return ["  no version was made of it"]
    more = f", {len(how) - direct:,} through others" if len(how) > direct else ""
    return [f"  {_many(len(how), 'version')} touched: {direct:,} directly{more}"]


def _branches(graph: Graph, node: Node) -> list[Branch]:
    deep = _backward(graph) or node.id in graph.about
    before = [_before(graph, edge, deep=deep) for edge in graph.into(node.id)]
    return _few([*before, *(_after(graph, edge, node) for edge in graph.out(node.id))])


def _few(found: Sequence[tuple[int, Branch] | None]) -> list[Branch]:
    """In their order; of many that are joined in the same way the first ones."""
    ranks: dict[int, list[Branch]] = {}
    for rank, branch in filter(None, found):
        ranks.setdefault(rank, []).append(branch)
    shown: list[Branch] = []
    for _, some in sorted(ranks.items()):
        more = len(some) - _SHOWN if len(some) > _SHOWN + 1 else 0
        shown += some[:-more] if more else some
        shown += [(f"... and {more:,} more; --json has all", [])] if more else []
    return shown


def _backward(graph: Graph) -> bool:
    return all(graph[id].kind == "version" for id in graph.about)


def _rank(relation: str) -> int:
    return _ORDER.index(relation) if relation in _ORDER else len(_ORDER)


def _before(graph: Graph, edge: Edge, *, deep: bool) -> tuple[int, Branch]:
    """What a node was made of; deep: with what that was made of, up to the next version."""
    node = graph[edge.source]
    below: list[Branch] = [(text, []) for text in edge.facts.get("changed", ())]
    below += [(f"id {one}", []) for one in node.facts.get("ids", ())]
    if deep and node.kind not in _MODELS:
        inner = [one for one in graph.into(node.id) if one.relation != "answered"]
        below += [_before(graph, one, deep=True)[1] for one in inner]
    relation = f"{edge.relation} " if graph[edge.target].kind in _MODELS else ""
    return _rank(edge.relation), (relation + _told(node, edge), below)


def _after(graph: Graph, edge: Edge, node: Node) -> tuple[int, Branch] | None:
    """What came of a node, down to the next version."""
    target = graph[edge.target]
    if edge.relation == "answered":
        return None  # the answers' own line says whose they are
    if target.kind not in _MODELS:
        if node.kind in _MODELS:
            return _rank(edge.relation), (f"{edge.relation} {_told(target, edge)}", [])
        below = [_after(graph, one, target) for one in graph.out(target.id)]
        told = f"{edge.relation} {_told(target, edge)}"
        return _rank(edge.relation), (told, _few(below))
    if node.kind in _MODELS and node.id not in graph.about:
        return None  # its own block tells it
    return len(_ORDER) + 1, (f"{target.id}{_mark(target)}: {_made_of_it(edge)}", [])


def _made_of_it(edge: Edge) -> str:
    words = {"base": "an adapter on it", "same files": "has the same files"}
    return words.get(edge.relation, f"{edge.relation} it") + _figures(edge)


def _head(node: Node) -> str:
    facts = node.facts
    named = node.kind in _MODELS or node.label.startswith(node.kind)
    parts = [node.label if named else f"{node.kind} {node.label}"]
    if node.kind == "version" and "stage" in facts:
        rank = f" r{facts['lora_rank']}" if "lora_rank" in facts else ""
        parts.append(f"({facts['stage']}, {facts['kind']}{rank})")
        parts.append(f"{_when(facts['created'])}, sha256 {facts['digest'][:12]}")
        parts += [f"touched {facts['touched']}"] if "touched" in facts else []
    elif "sha256" in facts:
        parts.append(f"sha256 {facts['sha256'][:12]}")
    parts += [facts[name] for name in ("told",) if name in facts]
    return "  ".join(parts) + _mark(node)


def _told(node: Node, edge: Edge) -> str:
    """A node in a line about another."""
    more = _detail(node, edge)
    label, some, whole = node.label, edge.facts.get("count"), node.facts.get("count")
    if some not in (None, whole):
        label = f"{label.rpartition(': ')[0]}: {some:,} of {whole:,}"
    return label + _figures(edge) + (f"  {more}" if more else "") + _mark(node)


def _detail(node: Node, edge: Edge) -> str:
    facts = node.facts
    match node.kind:
        case "version":
            return f"({facts['stage']})" if "stage" in facts else ""
        case "data":
            return f"sha256 {facts['sha256'][:12]}" + ("" if node.state else ", unchanged")
        case "run":
            return ", ".join(str(facts[key]) for key in ("outcome", "by") if key in facts)
        case "evidence":
            return str(facts.get("summary", ""))
        case "preferences":
            return (
                f"{facts['train']:,} train, {facts['holdout']:,} held out"
                if "train" in facts
                else ""
            )
        case "pairs":
            return f"{facts['holdout']:,} held out" if facts.get("holdout") else ""
        case "alias":
            return _spans(edge.facts)
        case "deployment":
            return ", ".join(edge.facts.get("variants", ()))
    return str(facts.get("told", ""))


def _spans(facts: Any) -> str:
    if "since" in facts:
        return f"since {_when(facts['since'])}"
    return ", ".join(f"{_when(a)} to {_when(b)}" for a, b in facts.get("spans", ()) if b)


def _figures(edge: Edge) -> str:
    facts = edge.facts
    found = [_many(facts[name], name[:-1]) for name in ("samples", "rows") if name in facts]
    found += [f"{facts['held_out']:,} held out"] if "held_out" in facts else []
    return f" ({', '.join(found)})" if found else ""


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def _mark(node: Node) -> str:
    if not node.state:
        return ""
    now = f" (now {node.facts['sha256_now'][:12]})" if "sha256_now" in node.facts else ""
    gone = node.facts.get("erased")
    told = f"{gone:,} erased" if node.state == "erased" and gone else _STATES[node.state]
    return f"  [{told}{now}]"


def _when(time: str) -> str:
    return time[:16].replace("T", " ")


def _tree(branches: Sequence[Branch], drawn: bool, indent: str = "") -> Iterator[str]:
    for place, (text, below) in enumerate(branches):
        last = place == len(branches) - 1
        yield f"{indent}{('└─ ' if last else '├─ ') if drawn else '  '}{text}"
        deeper = ("   " if last else "│  ") if drawn else "  "
        yield from _tree(below, drawn, indent + deeper)
