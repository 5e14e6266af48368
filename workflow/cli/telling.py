"""How the demo tells its story on the terminal: chapters, each event as it happens, and where to look."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from workflow.domain.application import SPINE, Status
from workflow.domain.events import REACHED_BY


def event_words(kind: str) -> str:
    """An event's type for people: application.approval_recorded is "application: approval recorded"."""
    subject, _, what = kind.partition(".")
    return f"{subject}: {what.replace('_', ' ')}"


class Telling:
    """Prints as things happen. Nothing here decides anything."""

    def __init__(self, terminal: Console) -> None:
        self._terminal = terminal
        self._began = time.monotonic()

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self._terminal.print()
        self._terminal.print(Rule(f"[bold]{escape(title)}[/]", align="left", style="dim"))

    def said(self, what: str, where: str = "") -> None:
        """Somebody does something; `where` is a page to look at."""
        self._line("[cyan]›[/]", escape(what), where)

    def detail(self, what: str) -> None:
        """Something worth knowing beside it."""
        self._line(" ", f"[dim]{escape(what)}[/]")

    def done(self, what: str) -> None:
        """Something was checked and holds."""
        self._line("[green]✓[/]", escape(what))

    def event(self, event: Mapping[str, Any]) -> None:
        """A fact of the application's history. One of the five states stands out."""
        state = REACHED_BY.get(event["type"])
        name = f"[bold green]{state:<10}[/]" if state else f"[dim]{escape(event_words(event['type']))}[/]"
        progress = f" [dim]{self._spine(state)}[/]" if state else ""
        self._line("[green]●[/]" if state else "[dim]·[/]", f"{name} {escape(event['actor'])}{progress}")

    def mail(self, subject: str, to: str, where: str, signature: str = "") -> None:
        """A mail in the inbox."""
        self._line("[cyan]✉[/]", f"{escape(subject)} [dim]to {escape(to)}[/]", where)
        if signature:
            self.detail(f"Encrypted. {signature}")

    def file(self, path: Path) -> None:
        """A file on this machine."""
        self._line("[cyan]▤[/]", "The license file", str(path))

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows that something is going on, on a terminal that can."""
        with self._terminal.status(f"[dim]{escape(what)} …[/]", spinner="dots"):
            yield

    @property
    def seconds(self) -> float:
        """How long the story has gone on."""
        return time.monotonic() - self._began

    def _line(self, mark: str, text: str, where: str = "") -> None:
        place = f"\n           [link]{escape(where)}[/]" if where else ""
        self._terminal.print(f"[dim]{self.seconds:6.1f} s[/] {mark} {text}{place}", soft_wrap=True)

    @staticmethod
    def _spine(state: Status) -> str:
        reached = SPINE.index(state) + 1
        return "■" * reached + "□" * (len(SPINE) - reached)
