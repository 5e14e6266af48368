"""The test servers themselves: each database and broker is the test's own."""

import smtplib

import pytest
from sqlalchemy import Engine, inspect, text

from tests.servers import LentDatabase, SmtpCatcher, ValkeyServer
from workflow.database import create_engine


def test_database_is_migrated_and_empty(engine: Engine) -> None:
    assert "application" in inspect(engine).get_table_names()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM person")).scalar() == 0
        connection.execute(text("CREATE TABLE mine (id integer)"))


def test_database_of_another_test_is_not_seen(engine: Engine) -> None:
    assert "mine" not in inspect(engine).get_table_names()


@pytest.mark.postgres
def test_a_database_is_lent_empty_and_in_its_first_shape_whatever_the_test_before_did(postgres_database: LentDatabase) -> None:
    for harm in ("DROP TRIGGER event_no_change ON event", "GRANT DELETE ON event TO licdesk_web", "DROP TABLE heartbeat", ""):
        with postgres_database.lent() as url:
            engine = create_engine(url)
            left_open = engine.connect()
            assert left_open.execute(text("SELECT count(*) FROM event_stream")).scalar() == 0
            assert "heartbeat" in inspect(engine).get_table_names()
            triggers = left_open.execute(text("SELECT count(*) FROM pg_trigger WHERE tgname = 'event_no_change'")).scalar()
            rights = left_open.execute(text("SELECT has_table_privilege('licdesk_web', 'event', 'DELETE')")).scalar()
            assert (triggers, rights) == (1, False)
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO event_stream VALUES ('left', 1, 'behind')"))
                if harm:
                    connection.execute(text(harm))
            left_open.execute(text("LOCK TABLE event_stream"))  # and never let go
        engine.dispose()


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
