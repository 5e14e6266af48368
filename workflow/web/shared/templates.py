"""Renders pages: the Jinja environment with what every page needs (theme, form token, message, static addresses)."""

from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from workflow.templating import environment, static_directory
from workflow.web.shared import csrf, flash
from workflow.web.shared.cookies import THEME, Cookies, new_visitor_token

PageContext = Callable[[Request], Mapping[str, object]]
"""What an application adds to every page: who is signed in, its navigation."""


@cache
def static_address(name: str) -> str:
    """Where a static file is; the address changes with its content, so browsers may keep it for ever."""
    digest = sha256((static_directory() / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


class FormToken:
    """The form token of one rendering. A visitor cookie is only made when a page really holds a form."""

    def __init__(self, request: Request, cookies: Cookies) -> None:
        self._secret = cookies.session_token(request) or cookies.visitor_token(request)
        self.new_visitor: str | None = None

    def value(self) -> str:
        """The token, bound to the session or to the visitor."""
        if self._secret is None:
            self._secret = self.new_visitor = new_visitor_token()
        return csrf.token_for(self._secret)

    def field(self) -> Markup:
        """The hidden field that every form contains."""
        return Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, self.value())


class Pages:
    """Renders the templates of one application inside its own shell."""

    def __init__(self, *, layout: str, cookies: Cookies, context: PageContext = lambda _request: {}) -> None:
        self.layout = layout
        self.cookies = cookies
        self.context = context
        self.environment: Environment = environment()
        self.environment.globals["static"] = static_address

    def page(self, request: Request, name: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """The page `name` of templates/, with `values` and what every page has. The waiting message is used up."""
        token = FormToken(request, self.cookies)
        theme = request.cookies.get(THEME)
        message = flash.waiting(request, self.cookies)
        context: dict[str, object] = {
            "layout": self.layout,
            "lang": "en",
            "theme": theme if theme in ("light", "dark") else None,
            "flash": message,
            "csrf_field": token.field,
            "csrf_token": token.value,
            "path": request.url.path,
            **self.context(request),
            **values,
        }
        response = HTMLResponse(self.environment.get_template(name).render(context), status_code=status)
        if token.new_visitor is not None:
            self.cookies.put(response, self.cookies.visitor, token.new_visitor)
        if message is not None:
            self.cookies.drop(response, self.cookies.flash)
        return response
