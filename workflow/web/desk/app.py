"""The desk's web application: one factory that puts settings, pages and API together."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import FastAPI

from workflow.database import create_engine
from workflow.services.desk import desk_from
from workflow.settings import DeskSettings, LogFormat, load
from workflow.web.desk.access import House, page_context
from workflow.web.desk.api.router import router as api
from workflow.web.desk.live import Watcher
from workflow.web.desk.pages import ROUTERS
from workflow.web.shared.cookies import Cookies
from workflow.web.shared.headers import log_requests_as_json
from workflow.web.shared.site import Site

BODY_LIMITS: Mapping[str, int] = MappingProxyType({"/api/v1/receipts": 16 * 1024})


def create_app(settings: DeskSettings | None = None) -> FastAPI:
    """The application for these settings, or for those of the environment (`uvicorn --factory`)."""
    given = settings if settings is not None else load(DeskSettings)
    if given.log_format is LogFormat.JSON:
        log_requests_as_json()
    site = Site(
        public_url=given.public_url,
        cookies=Cookies("desk", secure=given.secure_cookies),
        layout="partials/desk/base.html",
        context=page_context,
        allowed_hosts=given.allowed_hosts,
        body_limits=BODY_LIMITS,
    )
    app = FastAPI(title="License Desk", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.house = House(create_engine(given.database_url), given, desk_from(given))
    app.state.watcher = Watcher(app.state.house.engine)
    site.install(app)
    app.include_router(api)  # before the pages: their last route is the 404 page
    for router in ROUTERS:
        app.include_router(router)
    return app
