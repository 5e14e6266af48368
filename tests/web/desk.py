"""A person at the desk in a test: a browser without JavaScript that fills in forms as they are."""

import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Client, Response

ORIGIN = "http://desk.test"
PASSWORD = "correct horse battery staple"


class _Forms(HTMLParser):
    """Collects every form of a page with the values it would send."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, list[tuple[str, str]]]] = []
        self._select: str | None = None
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((has.get("action", ""), []))
        if not self.forms:
            return
        fields = self.forms[-1][1]
        if tag == "input" and has.get("name") and has.get("type") not in ("file", "submit"):
            if has.get("type") not in ("checkbox", "radio") or "checked" in has:
                fields.append((has["name"], has.get("value", "")))
        elif tag == "select":
            self._select = has.get("name")
        elif tag == "option" and self._select and "selected" in has:
            fields.append((self._select, has.get("value", "")))
        elif tag == "textarea":
            self._area, self._text = has.get("name"), ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area and self.forms:
            self.forms[-1][1].append((self._area, self._text))
            self._area = None
        elif tag == "select":
            self._select = None


@dataclass
class Browser:
    """One person's browser. `password` is typed wherever a page asks for it."""

    client: Client
    password: str = PASSWORD
    _shown: Response | None = None

    @property
    def page(self) -> Response:
        """What it shows."""
        assert self._shown is not None, "no page was opened yet"
        return self._shown

    @page.setter
    def page(self, shown: Response) -> None:
        self._shown = shown

    @classmethod
    def on(cls, app: FastAPI) -> "Browser":
        """A browser that nobody has signed in with."""
        return cls(TestClient(app, base_url=ORIGIN, follow_redirects=True, raise_server_exceptions=False))

    def open(self, address: str) -> Response:
        """Opens a page."""
        self.page = self.client.get(address)
        return self.page

    def form(self, action: str) -> list[tuple[str, str]]:
        """What the form of the page with this action would send as it stands."""
        parser = _Forms()
        parser.feed(self.page.text)
        found = [fields for address, fields in parser.forms if address == action]
        assert found, f"no form {action} among {[address for address, _ in parser.forms]}"
        return found[0]

    def send(self, address: str, files: dict[str, tuple[str, bytes]] | None = None, /, **changes: str | list[str]) -> Response:
        """Sends the form with this address, with some fields changed; a list sends a field several times."""
        filled = [(name, self.password if name == "password" else value) for name, value in self.form(address)]
        kept = [(name, value) for name, value in filled if name not in changes]
        for name, value in changes.items():
            kept += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        data: dict[str, list[str]] = {}
        for name, value in kept:
            data.setdefault(name, []).append(value)
        self.page = self.client.post(address, data=data, files=files, headers={"Origin": str(self.client.base_url).rstrip("/")})
        return self.page

    def sign_in(self, email: str, password: str = PASSWORD) -> Response:
        """Signs in through the page."""
        self.password = password
        self.open("/sign-in")
        return self.send("/sign-in", email=email, password=password)

    @property
    def words(self) -> str:
        """The page's text without its markup, blanks collapsed."""
        text = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", self.page.text, flags=re.S)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())
