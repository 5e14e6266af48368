"""Somebody with a browser, for the demo: opens pages and sends their forms as they are, over HTTP."""

from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

import httpx

from workflow.errors import Conflict

TIMEOUT = 30.0


class UnexpectedPage(Conflict):
    """A page does not hold the form that the next step needs."""

    code = "demo.unexpected_page"


@dataclass
class Form:
    """A form with the values it would send as it stands."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class Visitor:
    """One person's browser at one application. `text` is the page it shows."""

    def __init__(self, base_url: str) -> None:
        origin = base_url.rstrip("/")
        self.client = httpx.Client(base_url=origin, headers={"Origin": origin}, follow_redirects=True, timeout=TIMEOUT)
        self.text = ""
        self.path = ""
        self._password = ""

    def open(self, path: str) -> str:
        """Opens a page. Raises UnexpectedPage unless it can be shown."""
        return self._show(self.client.get(path))

    def send(self, action: str, files: dict[str, tuple[str, bytes]] | None = None, /, **changes: str | list[str]) -> str:
        """Sends the form of the page whose action ends with `action`, some fields changed. Raises UnexpectedPage."""
        form = self.form(action)
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            if name not in changes:
                data.setdefault(name, []).append(self._password if name == "password" else value)
        data |= {name: [changed] if isinstance(changed, str) else changed for name, changed in changes.items()}
        return self._show(self.client.post(form.action or self.path, data=data, files=files))

    def form(self, action: str) -> Form:
        """The form of the page whose action ends with `action`."""
        reader = _Forms()
        reader.feed(self.text)
        for each in reader.forms:
            if each.action.split("?")[0].endswith(action):
                return each
        there = ", ".join(each.action for each in reader.forms) or "none"
        raise UnexpectedPage(f"{self.path} has no form {action} (it has: {there}). It says: {_words(self.text)[:400]}")

    def sign_in(self, path: str, email: str, password: str) -> None:
        """Signs in through the page. Raises UnexpectedPage when the page still asks for it afterwards."""
        self._password = password  # pages ask for it again where much depends on it
        self.open(path)
        self.send(path, email=email, password=password)
        if 'type="password"' in self.text:
            raise UnexpectedPage(f"{email} could not sign in at {path}.")

    def _show(self, response: httpx.Response) -> str:
        self.text, self.path = response.text, response.url.path
        if response.is_error:
            raise UnexpectedPage(f"{self.path} answered {response.status_code}: {_words(self.text)[:400]}")
        return self.text


def _words(page: str) -> str:
    """The page's text, from its alert on when it has one: that is what went wrong."""

    class Text(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[str] = []

        def handle_data(self, data: str) -> None:
            self.parts.append(data)

    reader = Text()
    alert = page.find('role="alert"')
    reader.feed(page[page.find(">", alert) + 1 :] if alert >= 0 else page[page.find("<main") :])
    return " ".join(unescape(" ".join(reader.parts)).split())


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False
        self._select = ""
        self._area: str | None = None
        self._typed = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self.forms.append(Form(has.get("action", "")))
                self._inside = True
            case "input" if self._inside and has.get("name") and has.get("type") not in ("file", "submit"):
                if has.get("type") not in ("checkbox", "radio") or "checked" in has:
                    self.forms[-1].fields.append((has["name"], has.get("value", "")))
            case "select":
                self._select = has.get("name", "")
            case "option" if self._inside and self._select and "selected" in has:
                self.forms[-1].fields.append((self._select, has.get("value", "")))
            case "textarea":
                self._area, self._typed = has.get("name"), ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._typed += data

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "form":
                self._inside = False
            case "select":
                self._select = ""
            case "textarea" if self._inside and self._area:
                self.forms[-1].fields.append((self._area, self._typed))
                self._area = None
