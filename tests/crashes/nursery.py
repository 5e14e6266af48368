"""Starts the fleet's processes: `python -m tests.crashes.nursery` has imported everything once and forks each of them.

To start each by itself costs two seconds of importing, and a hundred of them are killed. What is forked is a process of its
own, in a group of its own, that runs the program from its first line. It dies with the nursery, and that with the test run.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tests.crashes import steps
from workflow.cli.supervisor import end_with
from workflow.settings import PREFIX


class Nursery:
    """A test's side. `common` is what every process is told, and what the worker's settings are made of at import."""

    def __init__(self, common: Mapping[str, str], logs: Path) -> None:
        self.logs = logs
        with (logs / "nursery.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crashes.nursery", str(os.getpid())],
                env={**os.environ, **common},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._answers()

    def start(self, name: str, program: str, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
        """Starts a program (a key of `PROGRAMS`) and returns its process id; it logs to `NAME.log`."""
        order = {
            "program": program,
            "arguments": list(arguments),
            "environ": dict(environ),
            "log": str(self.logs / f"{name}.log"),
        }
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answers())

    def close(self) -> None:
        """Ends it and, with it, every program."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _answers(self) -> str:
        assert self._process.stdout
        answer = self._process.stdout.readline()
        assert answer, (self.logs / "nursery.log").read_text()
        return answer


def _relay(_arguments: Sequence[str]) -> None:
    import workers.relay

    workers.relay.main()


def _celery(arguments: Sequence[str]) -> None:
    from celery.bin.celery import celery

    celery(list(arguments))


def _web(arguments: Sequence[str]) -> None:
    import uvicorn

    from workflow.web.desk.app import create_app

    app = create_app()

    async def stopping(scope: object, receive: object, send: Callable[..., object]) -> None:
        posted = isinstance(scope, dict) and scope.get("method") == "POST"

        async def answer(message: Mapping[str, object]) -> None:
            if posted and message["type"] == "http.response.start" and message["status"] == 201:
                steps.stop_at(steps.Step.WEB_COMMITTED)
            await send(message)  # type: ignore[misc]

        await app(scope, receive, answer)  # type: ignore[arg-type]

    uvicorn.run(stopping, host="127.0.0.1", port=int(arguments[0]), timeout_graceful_shutdown=3)


def _sink(arguments: Sequence[str]) -> None:
    from workflow.inbox import catcher
    from workflow.inbox.maildir import Maildir

    catcher.controller(Maildir(Path(arguments[1])), "127.0.0.1", int(arguments[0])).start()
    threading.Event().wait()


PROGRAMS: Mapping[str, Callable[[Sequence[str]], None]] = {"relay": _relay, "celery": _celery, "web": _web, "sink": _sink}


def main() -> None:
    """Imports, says so, and forks one program for each line it reads."""
    end_with(int(sys.argv[1]))
    import celery.bin.celery
    import celery.concurrency.prefork
    import celery.worker.consumer
    import kombu.transport.redis
    import uvicorn

    import workers.app
    import workers.signing
    import workers.transport
    import workflow.inbox.catcher
    import workflow.web.desk.app

    _ = celery, kombu, uvicorn, workflow
    for each in (workers.app.general, workers.app.signing):
        each.loader.import_default_modules()
    steps.install()
    print("ready", flush=True)
    nursery = os.getpid()
    while line := sys.stdin.readline():
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # whoever was killed meanwhile
                pass
        pid = os.fork()
        if not pid:
            _become(json.loads(line), nursery)
        print(pid, flush=True)


def _become(order: dict[str, object], nursery: int) -> NoReturn:
    os.setsid()
    end_with(nursery)
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silent = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, silent), (1, log), (2, log)):
        os.dup2(source, target)
    for name in list(os.environ):
        if name.startswith(PREFIX):
            del os.environ[name]
    given, arguments = order["environ"], order["arguments"]
    assert isinstance(given, dict)
    assert isinstance(arguments, list)
    os.environ.update(given)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 0
    try:
        PROGRAMS[str(order["program"])](arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
