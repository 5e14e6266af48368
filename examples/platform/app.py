"""A platform with two modules that obeys its license: they go off and on while it runs, as licenses change.

Run it beside a console; README.md in this folder says how.
"""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from serviceme_license import Answers, LicenseGate

log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One gate for the life of the process."""
    with opened() as gate:
        gate.on_change(tell)
        tell(gate.answers)
        app.state.gate = gate
        app.state.agents = []
        yield


def opened() -> LicenseGate:
    """The gate on the console's published directory or address, whichever PLATFORM_LICENSE names."""
    token = os.environ.get("PLATFORM_LICENSE_TOKEN_FILE")
    return LicenseGate(
        os.environ.get("PLATFORM_LICENSE", "var/console/published"),
        platform=os.environ.get("PLATFORM_LICENSE_IDENTITY"),
        token=Path(token).read_text(encoding="ascii") if token else None,
    )


def tell(answers: Answers) -> None:
    """Runs in the gate's own thread: short, and it must not wait for the event loop."""
    log.info("License: %s, modules: %s", answers.state, ", ".join(sorted(answers.modules)) or "none")


app = FastAPI(title="An example platform", lifespan=lifespan)


def the_gate(request: Request) -> LicenseGate:
    """The gate of this process."""
    gate: LicenseGate = request.app.state.gate
    return gate


Gate = Annotated[LicenseGate, Depends(the_gate)]


def using(module: str) -> Callable[[LicenseGate], None]:
    """A dependency: 403 unless the module may be used."""

    def check(gate: Gate) -> None:
        if not gate.allows(module):
            raise not_licensed(gate, module)

    return check


def reading(module: str) -> Callable[[LicenseGate], None]:
    """A dependency: 403 unless what the module holds may at least be looked at."""

    def check(gate: Gate) -> None:
        if not gate.allows_reading(module):
            raise not_licensed(gate, module)

    return check


def not_licensed(gate: LicenseGate, what: str) -> HTTPException:
    """What a user of the platform reads. The contact is in the license, also when it has ended."""
    contact = gate.claims.contact.mailbox if gate.claims else "your administrator"
    return HTTPException(403, f"{what} is not licensed now (license: {gate.state}). Ask {contact}.")


@app.get("/license")
def the_license(gate: Gate) -> dict[str, Any]:
    """For the platform's own status page."""
    answers = gate.answers
    return {
        "process": os.getpid(),
        "state": answers.state,
        "generation": answers.generation,
        "modules": sorted(answers.modules),
        "new": answers.rights.add,
        "problem": gate.problem,
    }


@app.get("/agents", dependencies=[Depends(reading("agent-studio"))])
def agents(request: Request) -> list[str]:
    """Looking is allowed longest."""
    names: list[str] = request.app.state.agents
    return names


@app.post("/agents/{name}", dependencies=[Depends(using("agent-studio"))], status_code=201)
def add_agent(request: Request, gate: Gate, name: str) -> str:
    """Something new: the module, the time after the grace period, and the maximum all have a say."""
    names: list[str] = request.app.state.agents
    if not gate.allows_another("agents", len(names)):
        raise not_licensed(gate, f"Another agent beside {len(names)}")
    names.append(name)
    return name


@app.post("/agents/{name}/run", dependencies=[Depends(using("agent-studio"))])
def run_agent(gate: Gate, name: str, model: str = "chat") -> str:
    """Existing use, with a model of a licensed type."""
    if not gate.allows_model(model):
        raise not_licensed(gate, f"A model of type {model}")
    return f"{name} ran with a {model} model"


@app.get("/public-api/agents", dependencies=[Depends(using("api-access"))])
def public_api(request: Request) -> list[str]:
    """A second module."""
    return agents(request)
