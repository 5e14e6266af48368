"""`licdesk mail test`: a signed letter on its way, the mail server's words, who tried it, and not too often."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select
from typer.testing import Result

from tests.cli.conftest import licdesk
from tests.servers import SmtpCatcher
from workflow.cli.broker import free_port
from workflow.database import reading
from workflow.db.tables import EventRow
from workflow.mail.demo_keys import write_demo_keys
from workflow.times import wall_now

Test = Callable[..., Result]
SENDER = "licensing@serviceme.example"
ADDRESS = "grace@serviceme.example"


@pytest.fixture
def mail_test(engine: Engine, smtp: SmtpCatcher) -> Test:
    url = engine.url.render_as_string(hide_password=False)
    given = {
        "LICDESK_DATABASE_URL": url,
        "LICDESK_SMTP_HOST": "127.0.0.1",
        "LICDESK_SMTP_PORT": str(smtp.port),
        "LICDESK_SMTP_TLS": "none",
    }
    return lambda address, **changes: licdesk("mail", "test", address, environ=given | changes)


def said_in_history(engine: Engine) -> list[tuple[str, str]]:
    with reading(engine) as session:
        rows = session.exec(select(EventRow).order_by(EventRow.at)).all()  # type: ignore[arg-type]  # a column
        return [(row.actor_name, row.payload) for row in rows if "mail.test" in row.payload]


def test_a_test_mail_arrives_signed_and_the_answer_is_shown_and_kept(
    mail_test: Test, engine: Engine, smtp: SmtpCatcher, tmp_path: Path
) -> None:
    keys = write_demo_keys(tmp_path, tmp_path / "inbox", recipients=[ADDRESS], signer_address=SENDER, now=wall_now())
    signer = {
        "LICDESK_MAIL_SIGNER_CERTIFICATE": str(keys.signer_certificate),
        "LICDESK_MAIL_SIGNER_KEY": str(keys.signer_key),
        "LICDESK_MAIL_SENDER": SENDER,
    }
    sent = mail_test(ADDRESS, **signer)
    assert sent.exit_code == 0, sent.output
    assert sent.stdout.startswith("250 ")
    (message,) = smtp.messages
    assert b"multipart/signed" in bytes(message)
    assert b"Subject: Test mail from" in bytes(message)
    asked, answered = said_in_history(engine)
    assert "mail.test_asked" in asked[1]
    assert "(command line)" in answered[0]
    assert "250 " in answered[1]


def test_a_server_that_is_away_is_said_and_kept(mail_test: Test, engine: Engine) -> None:
    sent = mail_test(ADDRESS, LICDESK_SMTP_PORT=str(free_port()))
    assert sent.exit_code == 1
    assert "can't be reached" in sent.stderr
    assert "can't be reached" in said_in_history(engine)[1][1]


def test_another_machine_without_tls_and_a_bad_address_are_refused(mail_test: Test, smtp: SmtpCatcher) -> None:
    clear = mail_test(ADDRESS, LICDESK_SMTP_HOST="smtp.example.com")
    assert clear.exit_code == 1
    assert "Use starttls" in clear.stderr
    assert mail_test("no address").exit_code == 1
    assert smtp.messages == []


def test_it_is_not_sent_too_often(mail_test: Test, smtp: SmtpCatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow.services.mail_tests.PER_HOUR", 1)
    assert mail_test(ADDRESS).exit_code == 0
    again = mail_test(ADDRESS)
    assert again.exit_code == 1
    assert "mail.too_many_tests" in again.stderr
    assert len(smtp.messages) == 1


def test_a_worker_does_not_start_with_a_signer_for_another_address(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = write_demo_keys(tmp_path, tmp_path / "inbox", recipients=[ADDRESS], signer_address=SENDER, now=wall_now())
    given = {
        "LICDESK_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "LICDESK_MAIL_SIGNER_CERTIFICATE": str(keys.signer_certificate),
        "LICDESK_MAIL_SIGNER_KEY": str(keys.signer_key),
    }
    became: list[tuple[str, ...]] = []
    monkeypatch.setattr("workflow.cli.serving._become", became.append)
    refused = licdesk("worker", "general", environ=given | {"LICDESK_MAIL_SENDER": "someone@else.example"})
    assert refused.exit_code == 1
    assert "someone@else.example" in refused.stderr
    assert became == []
    assert licdesk("worker", "general", environ=given | {"LICDESK_MAIL_SENDER": SENDER}).exit_code == 0
    assert len(became) == 1
