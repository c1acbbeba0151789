"""The API's description: as FastAPI makes it, with its errors as they are."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from llmops.control.problems import MEDIA, Problem


def install(app: FastAPI) -> None:
    """Let `/openapi.json` say that every error is a problem; made when it is first asked for."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _describe(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    components = found.setdefault("components", {})
    components["responses"] = {"Problem": _problem()}
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            answers.pop("422", None)
            for status in ("4XX", "5XX"):
                answers[status] = {"$ref": "#/components/responses/Problem"}
    return found


def _problem() -> dict[str, Any]:
    """RFC 9457."""
    schema = Problem.model_json_schema()
    example = {
        "type": "urn:llmops:problem:gate_refused",
        "title": "Conflict",
        "status": 409,
        "detail": "town:v4 does not become production: there is no evidence about town:v4",
        "code": "gate_refused",
        "fix": "evaluate it (`kind: evaluate` with a gate)",
    }
    return {
        "description": "Why it was not done.",
        "content": {MEDIA: {"schema": schema, "example": example}},
    }
