"""The test servers themselves: each database and broker is the test's own."""

import smtplib

import pytest
from sqlalchemy import Engine, inspect, text

from tests.servers import SmtpCatcher, ValkeyServer


def test_database_is_migrated_and_empty(engine: Engine) -> None:
    assert "application" in inspect(engine).get_table_names()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM person")).scalar() == 0
        connection.execute(text("CREATE TABLE mine (id integer)"))


def test_database_of_another_test_is_not_seen(engine: Engine) -> None:
    assert "mine" not in inspect(engine).get_table_names()


def test_broker_answers_after_a_crash(valkey: ValkeyServer) -> None:
    valkey.crash()
    valkey.start()


def test_mail_is_kept_and_refused_as_told(smtp: SmtpCatcher) -> None:
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.sendmail("a@desk.example", ["b@harbour.example"], "Subject: hello\r\n\r\ntext\r\n")
        smtp.refuse["RCPT"] = "450 4.2.1 try later"
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@desk.example", ["b@harbour.example"], "Subject: again\r\n\r\ntext\r\n")
    assert [message["Subject"] for message in smtp.messages] == ["hello"]
