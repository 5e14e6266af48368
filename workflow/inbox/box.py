"""The caught mail as its readers see it: opened once, kept in memory, listed page by page."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from workflow.errors import NotFound
from workflow.inbox.maildir import Maildir
from workflow.inbox.opening import Keyring, Opened, open_message

KEPT_OPEN = 600
SEARCHED = 500
"""how many of the newest messages a search looks at: each has to be decrypted once"""


class NoSuchMail(NotFound):
    """No message, or no file of a message, has this address."""

    code = "inbox.no_such_mail"


@dataclass(frozen=True)
class Mail:
    """A message with its id and the moment it was caught."""

    id: str
    received_at: datetime
    opened: Opened


class Box:
    """One Maildir seen through one set of keys. Messages never change, so what was opened once stays open."""

    def __init__(self, maildir: Maildir, keyring: Keyring) -> None:
        self._maildir = maildir
        self._keyring = keyring
        self._open: OrderedDict[str, Mail] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, message_id: str) -> Mail:
        """The opened message. Raises NoSuchMail."""
        with self._lock:
            if message_id in self._open:
                self._open.move_to_end(message_id)
                return self._open[message_id]
        caught = self._maildir.find(message_id)
        if caught is None:
            raise NoSuchMail("There is no such message. It may have been cleared.")
        mail = Mail(caught.id, caught.received_at, open_message(caught.raw, self._keyring, caught.received_at))
        with self._lock:
            self._open[message_id] = mail
            while len(self._open) > KEPT_OPEN:
                self._open.popitem(last=False)
        return mail

    def raw(self, message_id: str) -> bytes:
        """The message as it was caught. Raises NoSuchMail."""
        caught = self._maildir.find(message_id)
        if caught is None:
            raise NoSuchMail("There is no such message. It may have been cleared.")
        return caught.raw

    def page(self, size: int, *, to: str = "", words: str = "", before: str = "") -> tuple[list[Mail], str | None]:
        """The newest messages after `before`, at most `size`, and the id after which the next page starts.

        `to` is a recipient's address, `words` are looked for in subject and addresses; either limits the list to the
        newest 500 messages.
        """
        found: list[Mail] = []
        for mail in self._newest(before, bool(to or words)):
            if _is_for(mail.opened, to) and _mentions(mail.opened, words):
                if len(found) == size:
                    return found, found[-1].id
                found.append(mail)
        return found, None

    def _newest(self, before: str, searching: bool) -> Iterator[Mail]:
        ids = self._maildir.ids()
        for each in ids[:SEARCHED] if searching else ids:
            if not before or each < before:
                yield self.get(each)


def _is_for(opened: Opened, address: str) -> bool:
    return not address or address.casefold() == opened.recipient.casefold()


def _mentions(opened: Opened, words: str) -> bool:
    text = f"{opened.subject} {opened.sender} {opened.recipient}".casefold()
    return all(word in text for word in words.casefold().split())
