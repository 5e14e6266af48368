"""Renders pages: the Jinja environment with what every page needs (theme, form token, message, static addresses)."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from workflow.languages import ENGLISH, Language
from workflow.templating import environment, static_directory
from workflow.web.shared import csrf, flash
from workflow.web.shared.cookies import THEME, Cookies, new_visitor_token
from workflow.web.shared.languages import language_of

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
    """Renders the templates of one application inside its own shell, in the languages that it speaks."""

    def __init__(
        self,
        *,
        layout: str,
        cookies: Cookies,
        context: PageContext = lambda _request: {},
        languages: Sequence[Language] = (ENGLISH,),
    ) -> None:
        self.layout = layout
        self.cookies = cookies
        self.context = context
        self.languages = tuple(languages)
        self.environments: Mapping[str, Environment] = {each.tag: _environment(each) for each in languages}

    def add_filters(self, **filters: Callable[..., object]) -> None:
        """Filters of one application, the same in every language."""
        for each in self.environments.values():
            each.filters.update(filters)

    def language(self, request: Request) -> Language:
        """The language of this request's answer."""
        return language_of(request, self.languages)

    def page(self, request: Request, name: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """The page `name` of templates/, with `values` and what every page has. The waiting message is used up."""
        language = self.language(request)
        token = FormToken(request, self.cookies)
        theme = request.cookies.get(THEME)
        message = flash.waiting(request, self.cookies)
        context: dict[str, object] = {
            "layout": self.layout,
            "lang": language.tag,
            "languages_of_site": self.languages,
            "theme": theme if theme in ("light", "dark") else None,
            "flash": message,
            "csrf_field": token.field,
            "csrf_token": token.value,
            "path": request.url.path,
            **self.context(request),
            **values,
        }
        response = HTMLResponse(self.environments[language.tag].get_template(name).render(context), status_code=status)
        if token.new_visitor is not None:
            self.cookies.put(response, self.cookies.visitor, token.new_visitor)
        if message is not None:
            self.cookies.drop(response, self.cookies.flash)
        return response


def _environment(language: Language) -> Environment:
    made = environment()
    made.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]  # of the i18n extension
    made.globals["static"] = static_address
    made.filters.update(said=language.say, day=language.day, instant=language.instant, file_size=language.file_size)
    return made
