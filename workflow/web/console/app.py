"""The console's web application: one factory that puts settings, pages and API together, and starts its rounds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
from fastapi import FastAPI

from workflow.console.identity import API_TOKEN_FILE, Console, digest, open_console
from workflow.console.rounds import LOOK_EVERY, Rounds
from workflow.console.store import installation_of
from workflow.console.usage import UsageFile
from workflow.database import reading
from workflow.languages import ENGLISH, chinese
from workflow.license_file import day_in, last_usable_day, title
from workflow.settings import ConsoleSettings, load
from workflow.web.console.access import House, LocalAccounts, page_context
from workflow.web.console.live import Watcher
from workflow.web.console.pages import ROUTERS
from workflow.web.console.upload_form import DRAINED
from workflow.web.shared.cookies import Cookies
from workflow.web.shared.site import Site

USAGE_FILE = "usage.json"
SEND_EVERY = 1.0
"""seconds between looks into the outbox; how often one receipt is tried is the outbox's business"""

log = logging.getLogger("licdesk.console")


def create_app(settings: ConsoleSettings | None = None) -> FastAPI:
    """The application for these settings, or for those of the environment (`uvicorn --factory`).

    Brings the database up to date. Raises NotInitialized, DemoRootRefused and the like, which stop the start.
    """
    given = settings if settings is not None else load(ConsoleSettings)
    console = open_console(given)
    house = _house(console, given)
    site = Site(
        public_url=given.console_public_url,
        cookies=Cookies("console", secure=given.secure_cookies),
        layout="partials/console/base.html",
        context=page_context,
        allowed_hosts=given.allowed_hosts,
        api_prefix="/console/api/",
        sign_in="/console/sign-in",
        body_limits={"/console/license/uploads": DRAINED},
        languages=(ENGLISH, chinese()),
    )
    site.pages.add_filters(title_of=title, last_day=last_usable_day, day_in=day_in)
    app = FastAPI(title="License Management", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_living(house))
    app.state.house = house
    site.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app


def _house(console: Console, settings: ConsoleSettings) -> House:
    with reading(console.engine) as session:
        row = installation_of(session)
    return House(
        console=console,
        settings=settings,
        people=LocalAccounts(console),
        company=row.company,
        zone=row.time_zone,
        desk_url=settings.desk_url or row.desk_url,
        api_token_sha256=digest((console.directory / API_TOKEN_FILE).read_bytes().strip()),
        watcher=Watcher(console),
    )


def _living(house: House) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        usage_file = UsageFile(house.settings.console_usage or house.console.directory / USAGE_FILE)
        rounds = Rounds(house.console, house.desk_url, usage_file)
        with httpx.Client() as client:
            tasks = [
                asyncio.create_task(_repeat(rounds.look_after, LOOK_EVERY)),
                asyncio.create_task(_repeat(lambda: rounds.send_receipts(client), SEND_EVERY)),
            ]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return lifespan


async def _repeat(work: Callable[[], object], pause: float) -> None:
    failing: type[Exception] | None = None
    while True:
        try:
            await asyncio.to_thread(work)
            failing = None
        except Exception as error:  # the edge of a background task: tried again with the next round
            if type(error) is not failing:  # told once, not twice a second: a log must not fill what is left of a full disk
                log.exception("A round of the console failed. It is tried again until it works.")
            failing = type(error)
        await asyncio.sleep(pause)
