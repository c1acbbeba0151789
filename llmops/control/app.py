"""The control API: the functions of the CLI over HTTP.

    app = create_app(load_settings())     # FastAPI; llmops/control/server.py runs it

Routes are in routes/, a file for each noun. They are plain functions, which FastAPI runs in
threads, so that none holds up another; what goes on for long (events) is asynchronous.
"""

from fastapi import FastAPI

from llmops import __version__
from llmops.control import openapi, problems
from llmops.control.access import Access
from llmops.control.project import Project
from llmops.control.routes import (
    declarations,
    deployments,
    experiments,
    feedback,
    health,
    models,
    plans,
    preferences,
    runs,
)
from llmops.spec.settings import Settings

ROUTES = (
    *(health, runs, plans, declarations, models, deployments),
    *(experiments, feedback, preferences),
)


def create_app(settings: Settings, *, keys: bool = False) -> FastAPI:
    """keys: whether clients must show an API key, as they must when it listens at more than a
    loopback address."""
    app = FastAPI(
        title="llmops",
        version=__version__,
        summary="Train, register and serve language models that get better every week.",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    app.state.project = Project(settings)
    app.state.access = Access(app.state.project.paths, keys)
    problems.install(app)
    for one in ROUTES:
        app.include_router(one.router)
    openapi.install(app)
    return app
