"""The API against its own description: whatever is sent that the description allows, and some that it does not, no answer is a
failure of ours, and none is of another kind or shape than described."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlmodel import select

from tests.web.api import BASE, Program
from tests.web.desk import ORIGIN
from tests.workers.company import Company
from workflow.database import transaction
from workflow.db.tables import IssuedLicense
from workflow.domain.events import Job

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FOR_EACH = 8
"""Examples for each operation and mode: some thousand requests would find more, and take longer than anybody waits."""
HOST = {"Host": ORIGIN.removeprefix("http://")}
WHO = ("liaison", "approver", "operator", "auditor", "administrator", None)


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """One database is enough to describe answers."""
    shutil.copyfile(sqlite_template, tmp_path / "desk.sqlite3")
    return f"sqlite:///{tmp_path}/desk.sqlite3"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_answer_is_as_described(
    app: FastAPI, company: Company, program: Callable[[str], Program], mode: GenerationMode
) -> None:
    known = names_of_things(company)
    tokens = {who: program(who).token if who else None for who in WHO}
    schema = schemathesis.openapi.from_asgi(f"{BASE}/openapi.json", app, headers=HOST)
    seen: set[tuple[str, int]] = set()
    wrong: dict[str, str] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for who, status in answers(operation, mode, tokens, known, wrong):
            seen.add((f"{operation.method} {operation.path} as {who}", status))
    assert not wrong, "\n".join(f"{what}\n{sentence}" for what, sentence in sorted(wrong.items()))
    assert len({where for where, _ in seen}) > 60
    assert {200, 401, 403, 404, 422} <= {status for _, status in seen}


def names_of_things(company: Company) -> dict[str, str]:
    """What exists, by the name of the parameter that can name it."""
    number = company.apply()
    company.approve(number)
    company.run(Job.SIGN)
    waiting = company.apply(environment="UAT")
    with transaction(company.engine) as session:
        license_id = session.exec(select(IssuedLicense.license_id)).one()
    job = str(company.jobs()[0].id)
    return {"number": waiting, "license_id": license_id, "version": "1", "tenant_id": "T-20817", "job": job}


def answers(
    operation: APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    tokens: dict[str | None, str | None],
    known: dict[str, str],
    wrong: dict[str, str],
) -> set[tuple[str | None, int]]:
    """What an operation was answered, and for whom, whatever was sent. What is not as described is put into `wrong`."""
    seen: set[tuple[str | None, int]] = set()

    @settings(
        max_examples=FOR_EACH,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), who=st.sampled_from(WHO), real=st.integers(0, 3))
    def send(case: Case[Any], who: str | None, real: int) -> None:
        if real and case.path_parameters:
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        token = tokens[who]
        answer = case.call(headers=HOST | ({"Authorization": f"Bearer {token}"} if token else {}))
        seen.add((who, answer.status_code))
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as found:
            for each in found.exceptions:
                wrong[f"{operation.method} {operation.path}: {type(each).__name__} {answer.status_code}"] = str(found)

    with suppress(Unsatisfiable):  # what takes nothing cannot be sent anything wrong
        send()
    return seen
