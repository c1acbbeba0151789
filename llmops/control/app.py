"""The control API: the functions of the CLI over HTTP.

    app = create_app(load_settings())     # FastAPI; llmops/control/server.py runs it

Routes are in routes/, a file for each noun. They are plain functions, which FastAPI runs in
threads, so that none holds up another; what goes on for long (events) is asynchronous.
"""

from fastapi import FastAPI

from llmops import __version__
from llmops.control import openapi, problems
from llmops.control.access import Access
from llmops.control.bodies import Bodies
from llmops.control.browsers import Browsers
from llmops.control.project import Project
from llmops.control.requests import Counted, Requests
from llmops.control.routes import (
    approvals,
    checkpoints,
    dashboard,
    declarations,
    deployments,
    events,
    experiments,
    feedback,
    health,
    hooks,
    lineage,
    metrics,
    models,
    models_hub,
    models_records,
    models_storage,
    plans,
    preferences,
    runs,
    schedules,
    starts,
)
from llmops.scheduling.clock import Clock
from llmops.spec.settings import Settings

ROUTES = (
    *(health, runs, events, starts, plans, declarations, checkpoints),
    *(models, models_records, models_storage, models_hub, lineage),
    *(deployments, experiments, feedback, preferences, schedules, approvals, hooks),
    *(dashboard, metrics),
)


def create_app(settings: Settings, *, clock: Clock | None = None, keys: bool = False) -> FastAPI:
    """keys: whether clients must show an API key, as they must when it listens at more than a
    loopback address."""
    app = FastAPI(
        title="llmops",
        version=__version__,
        summary="Train, register and serve language models that get better every week.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    app.state.project = Project(settings, clock)
    app.state.access = Access(app.state.project.paths, keys)
    counted = app.state.counted = Counted()
    app.add_middleware(Bodies)
    app.add_middleware(Browsers, private=not keys)
    app.add_middleware(Requests, counted=counted)  # the last one is the outermost
    problems.install(app)
    for one in ROUTES:
        app.include_router(one.router)
    openapi.install(app)
    return app
