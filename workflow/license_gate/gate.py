"""`LicenseGate`: looks at a feed in the background, verifies each change itself, and answers from memory."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Final
from weakref import WeakSet

from ..license_file import LicenseClaims, Limit, Over, SeenTime, effective_now
from .answers import Answers
from .feeds import TRUST_DIRECTORY, DirectoryFeed, Feed, FeedAway, FeedDamaged, FileFeed, Published
from .holding import NOTHING_HELD, Held, hold
from .http_feed import HttpFeed
from .platform import GateMisconfigured, Platform
from .rights import State

POLL_FILES: Final = 0.25
POLL_HTTP: Final = 0.5
LIMITS: Final = ("agents", "users")

log = logging.getLogger("licdesk.gate")

_gates: "WeakSet[LicenseGate]" = WeakSet()


class LicenseGate:
    """Answers for one process of the platform. Every answer comes from memory; none waits for a file, the console or the
    network, and none raises because they are away. Safe to share between threads; a forked child goes on by itself.

    `source` is the console's published directory, a single `.lic` file, or the console's address (with `token`).
    `platform` holds the pin, the tenant and the environment, or is the path of the console's `identity.json`; beside a
    published directory it is found by itself. `trust` is the directory with the roots for a single file (by default
    `trust` beside it). `clock` gives seconds since 1970. Close the gate, or use it as a context manager.

    Raises GateMisconfigured for arguments that cannot be right.
    """

    def __init__(
        self,
        source: Path | str,
        *,
        platform: Platform | Path | str | None = None,
        token: str | None = None,
        trust: Path | str | None = None,
        clock: Callable[[], float] = time.time,
        poll_seconds: float | None = None,
    ) -> None:
        self._feed, self._identity, pause = _opened(source, platform, token, trust)
        self._platform = _platform_from(platform)
        self._poll_seconds = pause if poll_seconds is None else poll_seconds
        self._clock = clock
        self._seen: SeenTime | None = None
        self._held = NOTHING_HELD
        self._answers = Answers()
        self._deadline = inf
        self._feed_problem: str | None = None
        self._callbacks: tuple[Callable[[Answers], object], ...] = ()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._look()
        self._announced = self._answers
        self._start()
        _gates.add(self)

    @property
    def answers(self) -> Answers:
        """All answers of one instant, for somebody who asks several questions and wants them to fit together."""
        if self._clock() >= self._deadline:
            self._turn()
        return self._answers

    @property
    def state(self) -> State:
        """The state of the license in force."""
        return self.answers.state

    @property
    def generation(self) -> int:
        """The number of the published change that counts; 0 before the first."""
        return self.answers.generation

    @property
    def claims(self) -> LicenseClaims | None:
        """The verified license in force; None when there is none or it cannot be trusted."""
        return self.answers.claims

    @property
    def problem(self) -> str | None:
        """What keeps the gate from following the console, in words for an operator; None when all is well."""
        return self._feed_problem or self._answers.problem

    def allows(self, module: str) -> bool:
        """Whether the module may be used."""
        # Written out rather than through `answers`: the platform asks with every request.
        if self._clock() >= self._deadline:
            self._turn()
        return module in self._answers.modules

    def allows_reading(self, module: str) -> bool:
        """Whether what the module holds may be looked at: also after grace with `read_only`, when `allows` says no."""
        return module in self.answers.readable

    def allows_model(self, model_type: str) -> bool:
        """Whether models of the type may be called."""
        return model_type in self.answers.models

    def allows_new(self) -> bool:
        """Whether something new (an agent, a user) may be added: false after grace with `block_new` or `read_only`."""
        return self.answers.rights.add

    def allows_another(self, name: str, in_use: int) -> bool:
        """Whether one more of "agents" or "users" may be added to those `in_use`. A limit whose excess is only warned of
        never says no."""
        limit = self._limit(name)
        if limit is None or not self._answers.rights.add:
            return False
        return limit.max is None or in_use < limit.max or limit.over is Over.WARN

    def limit(self, name: str) -> int | None:
        """The maximum of "agents" or "users": None is unlimited, 0 is none (also without a license).

        Raises ValueError for a name that no license has.
        """
        limit = self._limit(name)
        return 0 if limit is None else limit.max

    def on_change(self, callback: Callable[[Answers], object]) -> Callable[[], None]:
        """Calls `callback` with the new answers whenever they change, from the gate's own thread. What it raises is logged.

        Returns a function that ends this.
        """
        with self._lock:
            self._callbacks = (*self._callbacks, callback)

        def end() -> None:
            with self._lock:
                self._callbacks = tuple(each for each in self._callbacks if each is not callback)

        return end

    def close(self) -> None:
        """Stops looking for changes; the last answers stay, and end by their dates."""
        _gates.discard(self)
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)
            if not self._thread.is_alive():
                self._feed.forget()  # hangs up

    def __enter__(self) -> "LicenseGate":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _limit(self, name: str) -> Limit | None:
        if name not in LIMITS:
            raise ValueError(f"a license limits {' and '.join(LIMITS)}, not {name!r}")
        return self.answers.limits.get(name)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="license-gate", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause()):
            try:
                self._look()
                self._announce()
            except Exception:  # the edge of a thread that must not end
                log.exception("The published license could not be looked at; the last answers stay.")
                self._feed.forget()

    def _pause(self) -> float:
        """Until the next look, or the instant at which an answer changes by itself."""
        return max(0.001, min(self._poll_seconds, self._deadline - self._clock()))

    def _look(self) -> None:
        found, damaged = self._news()
        with self._lock:
            if found is not None and self._platform is not None:
                held = hold(found, self._platform, self._held, self._now())
                self._tell(held)
                self._held = held
            elif damaged and not self._held.genuine:
                self._held = replace(self._held, refused=(State.INVALID,))
            self._answer()

    def _news(self) -> tuple[Published | None, bool]:
        """What is new, and whether what is there cannot be a license. A feed that is away is no news: the last license
        goes on, and ends by its dates."""
        problem, found, damaged = None, None, False
        try:
            if self._platform is None and self._identity is not None:
                self._platform = Platform.read(self._identity)
            found = self._feed.news()
        except FeedDamaged as error:
            problem, damaged = str(error), True
        except (FeedAway, GateMisconfigured) as error:
            problem = str(error)
        except OSError as error:
            problem = f"{error.filename or 'The feed'} cannot be read: {error.strerror or type(error).__name__}."
        if problem is not None and problem != self._feed_problem:
            log.warning("%s The last answers stay.", problem)
        self._feed_problem = problem
        return found, damaged

    def _tell(self, held: Held) -> None:
        if held.problem is not None and held.problem != self._held.problem:
            log.error("A published document is not to be trusted. %s", held.problem)

    def _turn(self) -> None:
        """An answer changes by itself at this instant."""
        with self._lock:
            self._answer()

    def _now(self) -> datetime:
        wall = datetime.fromtimestamp(self._clock(), UTC)
        self._seen = SeenTime(wall) if self._seen is None else self._seen.observed(wall)
        return effective_now(wall, self._seen, self._held.issued_at)

    def _answer(self) -> None:
        answers = Answers.at(self._held, self._now())
        if answers != self._answers:
            self._answers = answers
        self._deadline = inf if answers.until is None else answers.until.timestamp()

    def _announce(self) -> None:
        answers = self._answers
        if answers == self._announced:
            return
        self._announced = answers
        for callback in self._callbacks:
            try:
                callback(answers)
            except Exception:
                log.exception("A callback for a changed license failed.")

    def _go_on_in_child(self) -> None:
        """After a fork there is no thread, and the lock may be held by one that does not exist here."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._feed.forget()
        self._start()


def _go_on_in_children() -> None:
    for gate in tuple(_gates):
        gate._go_on_in_child()


with suppress(AttributeError):  # where there is no fork there is no such hook
    os.register_at_fork(after_in_child=_go_on_in_children)


def _opened(
    source: Path | str, platform: object, token: str | None, trust: Path | str | None
) -> tuple[Feed, Path | None, float]:
    """The feed, where to find the platform's facts if they were not given, and how often to look."""
    if isinstance(source, str) and source.startswith(("https://", "http://")):
        if not token or platform is None:
            raise GateMisconfigured("Reading from the console's address needs `token` and `platform`.")
        return HttpFeed(source, token), None, POLL_HTTP
    path = Path(source)
    if path.suffix == ".lic":
        if platform is None:
            raise GateMisconfigured("Reading a single .lic file needs `platform`: the pin, the tenant and the environment.")
        return FileFeed(path, Path(trust) if trust else path.parent / TRUST_DIRECTORY), None, POLL_FILES
    return DirectoryFeed(path), None if platform else path.parent / "identity.json", POLL_FILES


def _platform_from(given: Platform | Path | str | None) -> Platform | None:
    if given is None or isinstance(given, Platform):
        return given
    try:
        return Platform.read(Path(given))
    except OSError as error:
        raise GateMisconfigured(f"{given} cannot be read: {error.strerror}.") from error
