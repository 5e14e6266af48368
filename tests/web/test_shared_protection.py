"""What every application gets from `Site.install`: known hosts, form tokens, limits, headers, error answers."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from workflow.errors import Conflict, Invalid, Problem, TooMany, Unauthenticated
from workflow.web.shared import flash
from workflow.web.shared.cookies import Cookies
from workflow.web.shared.forms import Posted
from workflow.web.shared.site import Site, site_of
from workflow.web.shared.spreadsheets import harmless

ORIGIN = "http://desk.test"
PAGE = """{% extends "partials/door.html" %}{% block title %}T{% endblock %}
{% block main %}<h1>T</h1><form method="post">{{ csrf_field() }}</form>{% endblock %}"""


class Taken(Conflict):
    code = "test.taken"


def application(**options: Any) -> FastAPI:
    app = FastAPI()
    site = Site(public_url=ORIGIN, cookies=Cookies("test", secure=False), layout="partials/door.html", **options)
    site.install(app)
    site.pages.environments["en"].globals["page"] = PAGE

    @app.get("/form")
    def form(request: Request) -> HTMLResponse:
        return site_of(request).pages.page(request, "pages/test.html")

    @app.post("/form")
    def post(form: Posted) -> Response:
        answer = RedirectResponse("/form", 303)
        flash.leave(answer, site.cookies, f"Saved <{form.text('name')}>.")
        return answer

    @app.get("/conflict")
    @app.get("/api/conflict")
    def conflict() -> None:
        raise Taken("Sofia Marin approved this at 14:35. Look at the page again.")

    @app.get("/api/invalid")
    def invalid() -> None:
        raise Invalid("1 answer needs fixing.", [Problem("limits.agents", "out_of_range", "Enter 1 or more.")])

    @app.get("/api/too-many")
    def too_many() -> None:
        raise TooMany("Try again in 5 minutes.", retry_after=300)

    @app.get("/private")
    @app.get("/api/private")
    def private() -> None:
        raise Unauthenticated("Sign in to see this.")

    @app.get("/api/typed")
    def typed(number: Annotated[int, Query()]) -> int:
        return number

    @app.get("/locked")
    @app.get("/api/locked")
    def locked() -> None:
        raise OperationalError("INSERT secret detail", {}, Exception("database is locked"))

    @app.get("/no-table")
    def no_table() -> None:
        with create_engine("sqlite://").connect() as connection:
            connection.execute(text("SELECT 1 FROM nowhere"))

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("secret detail")

    return app


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    from workflow import templating

    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "test.html").write_text(PAGE)
    real = templating.template_directories()
    monkeypatch.setattr(templating, "template_directories", lambda: (*real, tmp_path))
    with TestClient(application(), base_url=ORIGIN, raise_server_exceptions=False, follow_redirects=False) as made:
        yield made


def token_in(page: str) -> str:
    return page.split('name="csrf" value="')[1].split('"')[0]


def test_a_form_of_our_own_page_is_accepted(client: TestClient) -> None:
    token = token_in(client.get("/form").text)
    sent = client.post("/form", data={"csrf": token, "name": "x"}, headers={"Origin": ORIGIN})
    assert sent.status_code == 303


@pytest.mark.parametrize("origin", ["http://evil.test", "https://desk.test", "http://desk.test:81", "null", None])
def test_a_form_of_another_origin_is_refused(client: TestClient, origin: str | None) -> None:
    token = token_in(client.get("/form").text)
    headers = {} if origin is None else {"Origin": origin}
    sent = client.post("/form", data={"csrf": token}, headers=headers)
    assert sent.status_code == 403
    assert "request.foreign_origin" in sent.text


def test_a_form_without_the_token_of_this_browser_is_refused(client: TestClient) -> None:
    client.get("/form")
    for token in ("", "0" * 64, "ü"):
        sent = client.post("/form", data={"csrf": token}, headers={"Origin": ORIGIN})
        assert sent.status_code == 403
        assert "request.stale_form" in sent.text


def test_a_token_made_before_sign_in_is_of_no_use_after_it(client: TestClient) -> None:
    token = token_in(client.get("/form").text)
    client.cookies.set("test_session", "a session somebody planted")
    assert client.post("/form", data={"csrf": token}, headers={"Origin": ORIGIN}).status_code == 403


def test_the_message_of_a_redirect_is_shown_once_and_escaped(client: TestClient) -> None:
    token = token_in(client.get("/form").text)
    client.post("/form", data={"csrf": token, "name": "b"}, headers={"Origin": ORIGIN})
    assert "Saved &lt;b&gt;." in client.get("/form").text
    assert "Saved" not in client.get("/form").text


def test_an_unknown_host_gets_400(client: TestClient) -> None:
    for host in ("evil.test", "", "desk.test.evil.test", "["):
        assert client.get("/form", headers={"Host": host}).status_code == 400
    assert client.get("/form", headers={"Host": "desk.test:8300"}).status_code == 200


def test_every_answer_carries_the_security_headers(client: TestClient) -> None:
    for path in ("/form", "/nowhere", "/static/app.css", "/bug"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert client.get("/form").headers["Cache-Control"] == "no-store"


def test_static_files_may_be_kept_under_their_digest_only(client: TestClient) -> None:
    page = client.get("/form").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    assert "immutable" in client.get(address).headers["Cache-Control"]
    assert client.get("/static/app.css").headers["Cache-Control"] == "no-cache"


def test_a_body_over_the_limit_gets_413_declared_or_not(client: TestClient) -> None:
    token = token_in(client.get("/form").text)
    big = f"csrf={token}&name=" + "x" * 300_000
    headers = {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/form", content=big, headers=headers).status_code == 413
    chunks = (big[i : i + 50_000].encode() for i in range(0, len(big), 50_000))
    assert client.post("/form", content=chunks, headers=headers).status_code == 413


def test_a_refusal_is_a_page_with_its_code_and_a_reference(client: TestClient) -> None:
    answer = client.get("/conflict")
    assert answer.status_code == 409
    assert "Sofia Marin approved this at 14:35." in answer.text
    assert "test.taken" in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_the_api_answers_with_problem_details(client: TestClient) -> None:
    answer = client.get("/api/conflict")
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "test.taken"
    assert answer.json()["reference"] == answer.headers["X-Request-ID"]
    invalid = client.get("/api/invalid").json()
    assert invalid["status"] == 422
    assert invalid["errors"] == [{"pointer": "#/limits/agents", "code": "out_of_range", "detail": "Enter 1 or more."}]
    assert client.get("/api/too-many").headers["Retry-After"] == "300"
    typed = client.get("/api/typed?number=x")
    assert typed.status_code == 422
    assert typed.json()["errors"][0]["pointer"] == "#/query/number"
    assert client.get("/api/nowhere").json()["status"] == 404


def test_a_page_without_a_session_leads_to_sign_in_and_back(client: TestClient) -> None:
    answer = client.get("/private?state=open")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?next=/private%3Fstate%3Dopen"
    assert client.get("/api/private").status_code == 401


def test_a_bug_shows_a_reference_and_no_detail(client: TestClient) -> None:
    answer = client.get("/bug")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "Reference" in answer.text


def test_a_database_that_is_away_is_nobodys_bug_and_is_tried_again(client: TestClient) -> None:
    for path in ("/locked", "/api/locked"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert "database.away" in answer.text
        assert "nothing of it was kept" in answer.text
        assert "secret detail" not in answer.text
    assert client.get("/no-table").status_code == 500, "waiting does not help against a schema of another release"


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "utf-16", "x" * 300])
def test_a_form_in_another_character_set_is_refused(client: TestClient, charset: str) -> None:
    token = token_in(client.get("/form").text)
    parts = (("csrf", token), ("name", "\\ud800"))
    body = (
        "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts) + "--b--"
    )
    for said, status in ((charset, 400), ("UTF-8", 303)):
        headers = {"Origin": ORIGIN, "Content-Type": f"multipart/form-data; boundary=b; charset={said}"}
        assert client.post("/form", content=body, headers=headers).status_code == status


def test_a_message_that_nobody_left_is_none(client: TestClient) -> None:
    for nonsense in (b"[" * 2_000, b"[1, 2]", b"{}", b"\xff"):
        client.cookies.set("test_flash", base64.urlsafe_b64encode(nonsense).decode())
        assert client.get("/form").status_code == 200


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1"])
def test_a_spreadsheet_cell_never_runs_as_a_formula(cell: str) -> None:
    assert harmless(cell).startswith("'")
