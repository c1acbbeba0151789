"""What the tests' Hub answers to a request, from huggingface_hub 2.4's own calls (hf_api.py,
lfs.py, _commit_api.py, file_download.py). Nothing here knows HTTP's wire."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.hub.repos import LARGE, LARGE_BYTES, File, Refused, Repo

if TYPE_CHECKING:
    from tests.hub.server import Hub

_ID = r"(?P<id>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>model|dataset)s/{_ID}"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    token: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """blob: the id of the content that it is, to be counted."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    blob: str = ""


def answer(hub: "Hub", asked: Asked) -> Answer:
    """Raises Refused."""
    if asked.token and asked.token not in hub.users:
        raise Refused(401, "", "Invalid credentials in Authorization header")
    for methods, pattern, function in _ROUTES:
        named = re.fullmatch(pattern, asked.path)
        if named and asked.method in methods:
            parts = named.groupdict()
            parts["kind"] = (parts.get("kind") or "model").removesuffix("s/")
            made = function(hub, asked, parts)
            return made if isinstance(made, Answer) else Answer(body=json.dumps(made).encode())
    raise Refused(404, "", f"the tests' Hub knows no {asked.method} {asked.path}")


def _repo(hub: "Hub", asked: Asked, named: dict[str, str], *, write: bool = False) -> Repo:
    repo = hub.repos.get(f"{named['kind']}s/{named['id']}")
    if repo is None or (repo.private and not asked.token):
        raise Refused(404 if asked.token else 401, "RepoNotFound", "Repository not found")
    if write:
        _writes(hub, asked)
    return repo


def _writes(hub: "Hub", asked: Asked) -> None:
    if not asked.token:
        raise Refused(401, "", "Invalid username or password.")
    if hub.users[asked.token] == "reader":
        raise Refused(403, "", "You don't have the rights to write here")


def _whoami(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    if not asked.token:
        raise Refused(401, "", "Invalid username or password.")
    return {"type": "user", "name": hub.users[asked.token], "orgs": []}


def _create(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    _writes(hub, asked)
    wanted = asked.json
    owner = wanted.get("organization") or hub.users[asked.token]
    kind, id = wanted.get("type") or "model", f"{owner}/{wanted['name']}"
    url = f"{hub.url}/{'' if kind == 'model' else 'datasets/'}{id}"
    if f"{kind}s/{id}" in hub.repos:
        text = json.dumps({"error": "You already created this repo", "url": url})
        return Answer(409, text.encode())
    hub.repo(id, kind, private=wanted.get("visibility") == "private")
    return {"url": url, "name": id}


def _info(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo = _repo(hub, asked, named)
    sha = repo.resolve(named["revision"] or "main")
    files = [_sibling(name, file) for name, file in sorted(repo.files(sha).items())]
    if "blobs" not in asked.query:
        files = [{"rfilename": one["rfilename"]} for one in files]
    return {"id": repo.id, "sha": sha, "private": repo.private, "siblings": files, "tags": []}


def _sibling(name: str, file: File) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": name, "size": len(file.content), "blobId": file.oid}
    if file.lfs:
        found["lfs"] = {"sha256": file.sha256, "size": len(file.content), "pointerSize": 134}
    return found


def _entry(name: str, file: File) -> dict[str, Any]:
    found = {"type": "file", "path": name, "size": len(file.content), "oid": file.oid}
    if file.lfs:
        found["lfs"] = {"oid": file.sha256, "size": len(file.content), "pointerSize": 134}
    return found


def _tree(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    below = f"{named['path']}/" if named["path"] else ""
    found = _repo(hub, asked, named).files(named["revision"])
    return [_entry(name, file) for name, file in sorted(found.items()) if name.startswith(below)]


def _paths(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    wanted = parse_qs(asked.body.decode()).get("paths", [])
    found = _repo(hub, asked, named).files(named["revision"])
    return [_entry(name, found[name]) for name in wanted if name in found]


def _refs(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo = _repo(hub, asked, named)

    def listed(where: str, refs: dict[str, str]) -> list[dict[str, str]]:
        return [{"name": n, "ref": f"refs/{where}/{n}", "targetCommit": c} for n, c in refs.items()]

    return {"branches": listed("heads", repo.branches), "tags": listed("tags", repo.tags)} | {
        "converts": []
    }


def _tag(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo = _repo(hub, asked, named, write=True)
    if asked.method == "DELETE":
        if repo.tags.pop(named["revision"], None) is None:
            raise Refused(404, "RevisionNotFound", "no such tag")
        return {}
    tag = asked.json["tag"]
    if tag in repo.tags:
        raise Refused(409, "", f"Tag reference exists already: {tag}")
    repo.tags[tag] = repo.resolve(named["revision"])
    return {}


def _branch(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo = _repo(hub, asked, named, write=True)
    if asked.method == "DELETE":
        if repo.branches.pop(named["revision"], None) is None:
            raise Refused(404, "RevisionNotFound", "Invalid rev id")
        return {}
    if named["revision"] in repo.branches:
        raise Refused(409, "", "Reference already exists")
    repo.branches[named["revision"]] = repo.resolve(asked.json.get("startingPoint") or "main")
    return {}


def _preupload(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    known = _repo(hub, asked, named, write=True).files(named["revision"])
    files = []
    for one in asked.json["files"]:
        large = one["path"].endswith(LARGE) or one["size"] > LARGE_BYTES
        mode = "lfs" if large else "regular"
        made = {"path": one["path"], "uploadMode": mode, "shouldIgnore": False}
        if one["path"] in known:
            made["oid"] = known[one["path"]].etag
        files.append(made)
    return {"files": files}


def _batch(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    _repo(hub, asked, named, write=True)
    objects = []
    for one in asked.json["objects"]:
        made = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] not in hub.blobs:
            made["actions"] = _actions(hub, one["oid"], one["size"])
        objects.append(made)
    return {"transfer": "multipart" if hub.part else "basic", "objects": objects}


def _actions(hub: "Hub", oid: str, size: int) -> dict[str, Any]:
    upload: dict[str, Any] = {"href": f"{hub.url}/lfs/{oid}"}
    if hub.part and size > hub.part:
        count = -(-size // hub.part)
        urls = {f"{n:05}": f"{hub.url}/lfs/{oid}/{n}" for n in range(1, count + 1)}
        upload = {"href": f"{hub.url}/lfs/{oid}", "header": {"chunk_size": str(hub.part), **urls}}
    return {"upload": upload, "verify": {"href": f"{hub.url}/lfs/{oid}/verify"}}


def _upload(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    """Whole, or of a part; a POST joins the parts."""
    oid, part = named["oid"], named["part"]
    hub.received[oid] += len(asked.body) if asked.method == "PUT" else 0
    if part:
        hub.parts.setdefault(oid, {})[int(part)] = asked.body
        return Answer(headers={"ETag": f'"{part}"'})
    content = asked.body
    if asked.method == "POST":
        content = b"".join(piece for _, piece in sorted(hub.parts.pop(oid).items()))
    if File(content, True).sha256 != oid:
        raise Refused(400, "", "the content is not what its sha256 says")
    hub.blobs[oid] = content
    return {}


def _verify(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    if len(hub.blobs.get(asked.json["oid"], b"")) != asked.json["size"]:
        raise Refused(404, "", "Object does not exist on the server")
    return {}


def _commit(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo, branch = _repo(hub, asked, named, write=True), named["revision"]
    lines = [json.loads(line) for line in asked.body.splitlines()]
    head, parent = lines[0]["value"], repo.resolve(branch)
    if head.get("parentCommit") not in (None, parent):
        raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
    files = dict(repo.files(parent))
    for line in lines[1:]:
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = File(base64.b64decode(value["content"]), False)
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.blobs:
                raise Refused(400, "", f"lfs pointer to a missing object: {value['path']}")
            files[value["path"]] = File(hub.blobs[value["oid"]], True)
        else:
            gone = value["path"].rstrip("/")
            files = {n: f for n, f in files.items() if n != gone and not n.startswith(f"{gone}/")}
    oid = repo.commit(files, branch, head["summary"])
    return {"commitUrl": f"{hub.url}/{repo.id}/commit/{oid}", "commitOid": oid}


def _resolve(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    repo = _repo(hub, asked, named)
    if repo.gated:
        raise Refused(403, "GatedRepo", "Access to this repository is restricted")
    commit = repo.resolve(named["revision"])
    file = repo.file(commit, named["path"])
    headers = {"X-Repo-Commit": commit, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.content))}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("Range", ""))
    if not wanted:
        return Answer(200, file.content, headers, file.etag)
    start, size = int(wanted[1]), len(file.content)
    end = min(int(wanted[2] or size - 1), size - 1)
    if start >= size:
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Answer(206, file.content[start : end + 1], headers, file.etag)


def _nothing(hub: "Hub", asked: Asked, named: dict[str, str]) -> Any:
    return {}


_PLAIN = rf"/(?P<kind>datasets/)?{_ID}"
_REV = r"(?P<revision>.+)"
_Route = Callable[["Hub", Asked, dict[str, str]], Any]
_ROUTES: list[tuple[tuple[str, ...], str, _Route]] = [
    (("GET",), r"/api/whoami-v2", _whoami),
    (("POST",), r"/api/repos/create", _create),
    (("POST",), r"/api/validate-yaml", _nothing),
    (("GET",), rf"{_API}/refs", _refs),
    (("GET",), rf"{_API}/tree/(?P<revision>[^/]+)(?:/(?P<path>.+))?", _tree),
    (("POST",), rf"{_API}/paths-info/{_REV}", _paths),
    (("POST",), rf"{_API}/preupload/{_REV}", _preupload),
    (("POST",), rf"{_API}/commit/{_REV}", _commit),
    (("POST", "DELETE"), rf"{_API}/tag/{_REV}", _tag),
    (("POST", "DELETE"), rf"{_API}/branch/{_REV}", _branch),
    (("GET",), rf"{_API}(?:/revision/{_REV})?", _info),
    (("POST",), rf"{_PLAIN}\.git/info/lfs/objects/batch", _batch),
    (("POST",), r"/lfs/(?P<oid>[0-9a-f]{64})/verify", _verify),
    (("PUT", "POST"), r"/lfs/(?P<oid>[0-9a-f]{64})(?:/(?P<part>\d+))?", _upload),
    (("GET", "HEAD"), rf"{_PLAIN}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _resolve),
]
