"""One web application's outside: its address, cookies, shell and error pages, installed with one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from workflow.languages import ENGLISH, Language
from workflow.templating import static_directory
from workflow.web.shared.bodies import DEFAULT_LIMIT, BodyLimit
from workflow.web.shared.cookies import Cookies
from workflow.web.shared.headers import ONE_YEAR, KnownHosts, RequestReference, SecurityHeaders, known_hosts
from workflow.web.shared.problems import ErrorAnswers
from workflow.web.shared.templates import PageContext, Pages


def _nothing_more(_request: Request) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True)
class Site:
    """How an application is reached and looks. `install` applies all of it, so no part can be forgotten."""

    public_url: str
    cookies: Cookies
    layout: str
    """the template that every page extends, also error pages"""
    context: PageContext = _nothing_more
    allowed_hosts: tuple[str, ...] = ()
    api_prefix: str = "/api/"
    sign_in: str | None = "/sign-in"
    """where pages send a person who is not signed in"""
    body_limit: int = DEFAULT_LIMIT
    body_limits: Mapping[str, int] = field(default_factory=dict)
    """other limits, by the beginning of the path"""
    languages: Sequence[Language] = (ENGLISH,)
    """what pages are written in; the first is for people who ask for none of them"""
    pages: Pages = field(init=False)

    def __post_init__(self) -> None:
        """Prepares the templates."""
        pages = Pages(layout=self.layout, cookies=self.cookies, context=self.context, languages=self.languages)
        object.__setattr__(self, "pages", pages)

    @property
    def scheme(self) -> str:
        """http or https, as people reach it (a proxy may sit in between)."""
        return urlsplit(self.public_url).scheme

    def link(self, path: str) -> str:
        """An absolute address for mails: only ever built from the public address, never from a request."""
        return self.public_url.rstrip("/") + path

    def install(self, app: FastAPI) -> None:
        """Static files, error answers and the protective layers; the last one added is the outermost."""
        app.state.site = self
        app.mount("/static", _Static(directory=static_directory()), name="static")
        ErrorAnswers(self.pages, api_prefix=self.api_prefix, sign_in=self.sign_in).install(app)
        app.add_middleware(BodyLimit, limits=self.body_limits, default=self.body_limit)
        app.add_middleware(KnownHosts, hosts=known_hosts(self.public_url, self.allowed_hosts))
        app.add_middleware(SecurityHeaders, https=self.scheme == "https")
        app.add_middleware(RequestReference)


def site_of(request: Request) -> Site:
    """The site that serves this request."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


class _Static(StaticFiles):
    """Static files whose address carries their digest may be kept; others are asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with a Cache-Control that fits its address."""
        response = await super().get_response(path, scope)
        kept = scope.get("query_string", b"").startswith(b"v=")
        response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR}, immutable" if kept else "no-cache"
        return response
