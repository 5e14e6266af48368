"""A program that talks to the desk's API in a test, with somebody's token."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from tests.web.desk import ORIGIN
from workflow.database import transaction
from workflow.db.queries import people
from workflow.domain.roles import Scope
from workflow.services import accounts, tokens
from workflow.times import wall_now

BASE = "/api/v1"


@dataclass
class Program:
    """One program. `token` None: it does not say who it works for."""

    client: TestClient
    token: str | None

    @classmethod
    def of(cls, app: FastAPI, who: str) -> "Program":
        """A program of `who`@serviceme.example, with a fresh token."""
        with transaction(app.state.house.engine) as session:
            person = people.find_person_by_email(session, f"{who}@serviceme.example")
            assert person is not None
            actor = accounts.actor_of(session, person, wall_now())
            token, _ = tokens.make_token(session, actor, "test", 30, scopes=Scope, now=wall_now(), wall=wall_now())
        return cls.without_token(app, token)

    @classmethod
    def without_token(cls, app: FastAPI, token: str | None = None) -> "Program":
        """A program that sends this token, or none."""
        return cls(TestClient(app, base_url=ORIGIN, follow_redirects=False, raise_server_exceptions=False), token)

    def get(self, path: str, **headers: str) -> Response:
        """GET below /api/v1."""
        answer: Response = self.client.get(f"{BASE}{path}", headers=self._headers(headers))
        return answer

    def post(self, path: str, body: Any = None, **headers: str) -> Response:
        """POST below /api/v1; header names are written with underscores."""
        answer: Response = self.client.post(f"{BASE}{path}", json=body, headers=self._headers(headers))
        return answer

    def put(self, path: str, body: Any, **headers: str) -> Response:
        """PUT below /api/v1."""
        answer: Response = self.client.put(f"{BASE}{path}", json=body, headers=self._headers(headers))
        return answer

    def _headers(self, given: dict[str, str]) -> dict[str, str]:
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return own | {name.replace("_", "-"): value for name, value in given.items()}


def problem(answer: Response) -> dict[str, Any]:
    """The problem details of a refusal; checks that they are complete."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    assert {"type", "title", "detail", "code", "reference"} <= document.keys()
    assert document["reference"] == answer.headers["x-request-id"]
    return document


def pointers(answer: Response) -> dict[str, str]:
    """The fields that a 422 names, with their codes."""
    return {each["pointer"]: each["code"] for each in problem(answer).get("errors", [])}


def terms(**changes: Any) -> dict[str, Any]:
    """The body of an application for the company's customer, from today on for a year; programs do not vote on PROD."""
    today = wall_now().date()
    return {
        "tenant_id": "T-20817",
        "environment": "UAT",
        "modules": ["agent-studio", "knowledge-base"],
        "model_types": ["chat"],
        "restrictions": [],
        "limits": {"agents": 120, "users": 800},
        "validity": {
            "first_day": today.isoformat(),
            "last_day": (today + timedelta(days=364)).isoformat(),
            "time_zone": "Asia/Shanghai",
        },
        "recipients": ["wei.zhang@harbourline.example"],
        "note": "Order PO-88213.",
    } | changes
