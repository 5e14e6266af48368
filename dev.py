#!/usr/bin/env python3
"""Sets License Desk up and runs it: needs Python 3.11 or newer and nothing else.

Makes `.venv` with the locked requirements, then hands over to the program asked for. Standard library only, and in
words that an older Python can read, so that it can say which one is needed.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements"
OLDEST = (3, 11)
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

HELP = """\
usage: python3 dev.py COMMAND [ARGUMENTS]

  up      start everything on this machine: desk, console, workers, broker, inbox (Ctrl-C stops it)
  demo    take an example application through all five states while you watch, then renew it
  test    run the tests, with real servers and a browser (arguments go to pytest)
  check   run the linters, the type checker and the import rules
  bench   measure applications per second and memory on this machine
  lock    write requirements/*.txt anew from requirements/*.in (--upgrade takes newer releases)
  help    show this page

Everything is installed into .venv and everything that runs keeps its data in var/. Delete both to start over.
"""


class SetupError(Exception):
    """Something on this machine keeps the project from being set up; the text says what to do about it."""


def main(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if command in ("up", "demo"):
        prepare("run")
        return become("workflow.cli.main", command, *rest)
    if command == "test":
        find_test_tools()
        prepare("test")
        return become("pytest", *(rest if chooses_workers(rest) else ["-n", "2", *rest]))
    if command == "bench":
        prepare("test")
        return become("tests.bench", *rest)
    if command == "check":
        prepare("test")
        return check()
    if command == "lock":
        prepare("run")
        return lock(rest)
    if command in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    print(f"dev.py: there is no command {command!r}.\n\n{HELP}", end="", file=sys.stderr)
    return 2


def chooses_workers(arguments: list[str]) -> bool:
    return any(argument.startswith(("-n", "--numprocesses", "--pdb", "--co")) for argument in arguments)


def become(module: str, *arguments: str) -> int:
    """Replaces this process, so that signals and the exit status are the program's own. Does not return."""
    # The virtual environment is found through argv[0], so that has to be the full path of its Python.
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", module, *arguments])


def check() -> int:
    """Runs every check, also after one has failed, so that one run shows everything."""
    python = str(PYTHON)
    checks = {
        "ruff": [python, "-m", "ruff", "check", "."],
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "mypy": [python, "-m", "mypy"],
        "import rules": [str(PYTHON.with_name("lint-imports")), "--no-cache"],
    }
    failed = []
    for name, command in checks.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    print(f"check: {', '.join(failed)} failed" if failed else "check: all passed")
    return 1 if failed else 0


def lock(arguments: list[str]) -> int:
    """Pins each requirements/*.in with hashes and without any package index's address."""
    compile_one = [
        *(uv(), "pip", "compile", "--quiet", "--universal", "--python-version", ".".join(map(str, OLDEST))),
        *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
        *("--custom-compile-command", "python3 dev.py lock", *arguments),
    ]
    # Tests run against the very versions that production gets: hence the second file is bound by the first.
    for name, bound in (("setup", []), ("run", []), ("test", ["--constraint", "requirements/run.txt"])):
        files = [f"requirements/{name}.in", "--output-file", f"requirements/{name}.txt"]
        subprocess.run([*compile_one, *bound, *files], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"requirements/{name}.txt is up to date")
    return 0


def prepare(purpose: str) -> None:
    """Brings `.venv` to the locked requirements for `run` or `test`; does nothing when it is there already."""
    wanted = fingerprint(purpose)
    stamp = VENV / f"{purpose}.stamp"
    if is_current(stamp, wanted):
        return
    VENV.mkdir(exist_ok=True)
    with (VENV / "setup.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # two first starts at once: the second finds the work done
        if is_current(stamp, wanted):
            return
        print("Setting up .venv (once, and after each change of the requirements) ...", file=sys.stderr, flush=True)
        make_venv()
        install = [uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON)]
        locked = [f"--requirement={REQUIREMENTS / name}.txt" for name in dict.fromkeys(("setup", "run", purpose))]
        run([*install, "--require-hashes", *locked])
        run([*install, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
        stamp.write_text(wanted)


def is_current(stamp: Path, wanted: str) -> bool:
    return PYTHON.exists() and stamp.is_file() and stamp.read_text() == wanted


def fingerprint(purpose: str) -> str:
    """Changes when `.venv` has to be brought up to date: new pins, another Python, a moved folder."""
    files = [ROOT / "pyproject.toml", *(REQUIREMENTS / f"{name}.txt" for name in ("setup", "run", purpose))]
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return json.dumps([str(ROOT), sys.version, *digests])


def make_venv() -> None:
    """An environment that has uv in it, or can use the machine's."""
    if shutil.which("uv"):
        run(["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)])
        return
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        said = "\n".join(made.stdout.splitlines()[-4:] + made.stderr.splitlines()[-4:])
        raise SetupError(
            f"{said}\nPython's venv module does not work here. Install it (on Debian and Ubuntu: "
            "apt-get install python3-venv), or install uv, and try again."
        )
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", f"--requirement={REQUIREMENTS / 'setup.txt'}"])


def uv() -> str:
    """The machine's uv, or the one in `.venv`."""
    return shutil.which("uv") or str(PYTHON.with_name("uv"))


def run(command: list[str]) -> None:
    """Runs one step of the set-up and shows what it says; SetupError when it fails."""
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise SetupError(f"This step failed: {' '.join(command)}\nIs the package index reachable from here?")


def find_test_tools() -> None:
    """Makes sure of the programs that the tests use as the other side. As root on Debian it installs them; elsewhere
    it says what to install, and the tests that need them are skipped (with CI=true: fail)."""
    packages = {
        "chromium": any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
        "libatomic1": sys.platform != "linux" or loads("libatomic.so.1"),  # playwright's own program needs it
        "openssl": bool(shutil.which("openssl")),
        "gpg": bool(shutil.which("gpg")),
        "gpg-agent": bool(shutil.which("gpg-agent")),
        "gpgsm": bool(shutil.which("gpgsm")),
        "postfix": bool(shutil.which("postfix", path=SYSTEM_PATH)),
        "dovecot-imapd": bool(shutil.which("dovecot", path=SYSTEM_PATH)),
    }
    missing = [name for name, there in packages.items() if not there]
    if not missing:
        return
    options = ["--quiet=2", "--yes", "--no-install-recommends", "-o=Dpkg::Use-Pty=0"]
    wanted = ["apt-get", "install", *options, *missing]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing)} for the tests ...", file=sys.stderr, flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "--quiet=2"], wanted):
            if subprocess.run(command, check=False, env=quiet, stdout=subprocess.DEVNULL).returncode:
                raise SetupError(f"This step failed: {' '.join(command)}")
        return
    said = f"The tests also need {', '.join(missing)} (on Debian and Ubuntu: apt-get install {' '.join(missing)})"
    if os.environ.get("CI") == "true":
        raise SetupError(f"{said}.")
    print(f"{said}; without, those that do are skipped.", file=sys.stderr)


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        sys.exit(f"License Desk needs Python {'.'.join(map(str, OLDEST))} or newer; this is {sys.version.split()[0]}.")
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as problem:
        sys.exit(f"dev.py: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)
