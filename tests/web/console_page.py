"""An administrator at License Management without JavaScript: forms as the page holds them, files as a browser sends them."""

import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Client, Response

from tests.console import vendor
from workflow.console.identity import Console
from workflow.settings import ConsoleSettings, Mode
from workflow.web.console.app import create_app

ORIGIN = "http://console.test"
PATH = "/console/license"


def settings_for(directory: Path, origin: str = ORIGIN) -> ConsoleSettings:
    """A demo console on plain HTTP."""
    return ConsoleSettings(mode=Mode.DEMO, console_dir=directory, console_public_url=origin, secure_cookies=False)


def application(console: Console) -> FastAPI:
    """The web application of an installed console."""
    return create_app(settings_for(console.directory))


@dataclass
class Visitor:
    """One person's browser; `page` is what it shows."""

    client: Client
    page: Response

    @classmethod
    def at(cls, app: FastAPI) -> "Visitor":
        """Nobody yet, looking at the sign-in page."""
        client = TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN}, raise_server_exceptions=False)
        return cls(client, client.get(PATH))

    @classmethod
    def signed_in(cls, app: FastAPI, address: str = vendor.ADMIN) -> "Visitor":
        """Somebody with a session."""
        visitor = cls.at(app)
        visitor.post("/console/sign-in", email=address, password=vendor.PASSWORD, next=PATH)
        return visitor

    @property
    def text(self) -> str:
        """What the page says: tags gone, white space closed up, words whole that may break at the end of a line."""
        body = re.sub(r"<(script|style|svg).*?</\1>", " ", self.page.text, flags=re.S).replace("<wbr>", "")
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def token(self) -> str:
        """The form token of the page."""
        found = re.search(r'name="csrf" value="(\w+)"', self.page.text)
        assert found, self.page.text[:500]
        return found[1]

    def open(self, address: str = PATH) -> Response:
        """Opens a page."""
        self.page = self.client.get(address)
        return self.page

    def post(self, address: str, **fields: str) -> Response:
        """Sends a form with the page's token."""
        self.page = self.client.post(address, data={"csrf": self.token, **fields})
        return self.page

    def upload(self, raw: bytes, name: str = "license.lic") -> Response:
        """Chooses a file and sends it."""
        self.open()
        return self.send([("file", (name, raw))])

    def send(self, files: list[tuple[str, tuple[str, bytes]]], **fields: str) -> Response:
        """Sends the upload form with these parts."""
        self.page = self.client.post(f"{PATH}/uploads", data={"csrf": self.token, **fields}, files=files)
        return self.page

    def activate(self, **fields: str) -> Response:
        """Presses the button of the preview, with its own hidden fields."""
        generation = re.search(r'name="generation" value="(\d+)"', self.page.text)
        action = re.search(r'action="([^"]+/activate)"', self.page.text)
        assert generation, self.text
        assert action, self.text
        return self.post(action[1], **{"generation": generation[1], **fields})


def installed(visitor: Visitor, raw: bytes, **fields: str) -> None:
    """Uploads a license and activates or schedules it."""
    visitor.upload(raw)
    assert visitor.activate(acknowledged="yes", **fields).status_code == 200, visitor.text


def use_list(visitor: Visitor, **fields: str) -> Response:
    """Presses the button of the list's preview."""
    generation = re.search(r'name="generation" value="(\d+)"', visitor.page.text)
    action = re.search(r'action="([^"]+/use)"', visitor.page.text)
    assert generation, visitor.text
    assert action, visitor.text
    return visitor.post(action[1], **{"generation": generation[1], **fields})
