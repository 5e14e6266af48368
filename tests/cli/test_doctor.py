"""`licdesk doctor`: everything in order on a desk that runs, and each check failing once on a real part that is wrong."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text, update

from tests.cli.conftest import RunningDesk, licdesk
from tests.mail.authorities import revocation_list
from tests.servers import PostgresServer, SmtpCatcher, ValkeyServer, wait_until
from tests.workers.conftest import issuer_keys, mail_keys
from workflow.cli.broker import free_port
from workflow.cli.checkup import broker, custody, database, files, mail
from workflow.cli.checkup.findings import Finding, Verdict
from workflow.database import create_engine, transaction
from workflow.db import outbox
from workflow.db.migrations import upgrade
from workflow.db.queries import housekeeping
from workflow.db.tables import JobRow
from workflow.domain.events import Job
from workflow.domain.processes import ProcessKind
from workflow.mail.demo_keys import DemoFiles, make_authority
from workflow.times import wall_now

__all__ = ["issuer_keys", "mail_keys"]

Environ = dict[str, str]


@pytest.fixture
def desk(tmp_path: Path, sqlite_template: Path) -> Environ:
    """The environment of a desk on SQLite whose processes all live."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, data / "desk.sqlite3")
    (data / "desk.sqlite3").chmod(0o600)
    made = {"LICDESK_DATA_DIR": str(data)}
    everybody_lives(f"sqlite:///{data}/desk.sqlite3")
    return made


def everybody_lives(url: str, endings: dict[str, timedelta] | None = None) -> None:
    engine = create_engine(url)
    with transaction(engine) as session:
        ends = {what: wall_now() + after for what, after in (endings or {}).items()}
        for kind in ProcessKind:
            housekeeping.beat(session, f"{kind}@here", "", wall_now(), ends)
    engine.dispose()


def bad(findings: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    """What is not in order: verdict and sentence by check. Whatever is wrong comes with what to do."""
    found = [each for each in findings if each.verdict in (Verdict.WARN, Verdict.FAIL)]
    assert all(each.remedy for each in found)
    return {each.check: (each.verdict.value, each.said) for each in found}


def doctor(environ: Environ) -> tuple[int, dict[str, tuple[str, str]]]:
    told = licdesk("doctor", "--json", environ=environ)
    report = json.loads(told.stdout)
    assert report["ok"] == (told.exit_code == 0)
    return told.exit_code, {each["check"]: (each["verdict"], each["said"]) for each in report["checks"]}


# A desk that runs


def test_a_desk_that_runs_is_in_order(running_desk: RunningDesk) -> None:
    here = ("doctor", "--data", str(running_desk.stack.files.data), "--json")
    # The scheduler is heard of once its first scan has run.
    wait_until(lambda: "No beat process lives" not in licdesk(*here).stdout, 60, "the first scan has run")
    told = licdesk(*here)
    report = json.loads(told.stdout)
    assert [each for each in report["checks"] if each["verdict"] in ("fail", "skip")] == []
    assert told.exit_code == 0
    assert {each["check"] for each in report["checks"]} >= {
        *("settings", "database", "schema", "clock", "processes", "jobs", "broker", "mail server", "mail signer"),
        *("issuer keys", "trust root", "disk", "files", "endings"),
    }


def test_the_report_can_be_read_and_says_what_to_do(desk: Environ) -> None:
    told = licdesk("doctor", environ=desk)
    assert told.exit_code == 0, told.stdout
    assert "✓ ok   database" in told.stdout
    assert "- skip broker" in told.stdout
    Path(desk["LICDESK_DATA_DIR"], "desk.sqlite3").chmod(0o644)
    told = licdesk("doctor", environ=desk)
    assert told.exit_code == 1
    assert "chmod 600" in told.stdout


def test_it_never_loads_what_opens_a_license_issuer_key(desk: Environ, issuer_keys: Path, tmp_path: Path) -> None:
    environ = with_keys(desk, issuer_keys, tmp_path)
    for name in ("dev", "uat", "prod"):
        (tmp_path / "keys" / f"issuer-{name}.pem").write_text("not a key: whoever opened it would fail")
    code = (
        "import sys\nfrom pathlib import Path\nfrom workflow.cli.doctor import examine\n"
        "from workflow.cli.checkup.findings import Verdict\n"
        "said = [each for each in examine(Path('nowhere')) if each.check == 'issuer keys']\n"
        "assert [each.verdict for each in said] == [Verdict.OK], said\n"
        "print(sorted(name for name in sys.modules if 'signing' in name and name.startswith(('workflow', 'workers'))))"
    )
    run = subprocess.run([sys.executable, "-c", code], env=os.environ | environ, capture_output=True, text=True, timeout=60)
    assert (run.stdout.strip(), run.stderr) == ("[]", "")


# Settings


def test_settings_that_a_role_cannot_read_and_words_that_nobody_reads(desk: Environ) -> None:
    code, told = doctor(desk | {"LICDESK_SMTP_TLS": "maybe", "LICDESK_PUBLIK_URL": "https://desk.example"})
    assert code == 1
    assert told["settings"][0] == "warn", "the last word on settings is about the variable nobody reads"
    assert "LICDESK_PUBLIK_URL" in told["settings"][1]
    broken = licdesk("doctor", environ=desk | {"LICDESK_SMTP_TLS": "maybe"}).stdout
    assert "worker: LICDESK_SMTP_TLS must be implicit, starttls or none." in broken
    (Path(desk["LICDESK_DATA_DIR"]) / "policy.toml").write_text("no policy")
    code, told = doctor(desk | {"LICDESK_POLICY_FILE": f"{desk['LICDESK_DATA_DIR']}/policy.toml"})
    assert (code, told["settings"][0]) == (1, "fail")


def test_production_asks_for_tls_and_a_policy_of_its_own(desk: Environ) -> None:
    _, told = doctor(desk)
    assert told["address"] == ("warn", "Links in mails lead to http://127.0.0.1:8300, which is not encrypted.")
    assert told["policy"][0] == "warn"
    code, told = doctor(desk | {"LICDESK_PUBLIC_URL": "https://desk.example", "LICDESK_SECURE_COOKIES": "false"})
    assert (code, told["address"]) == (1, ("fail", "Session cookies travel in clear."))
    assert "address" not in doctor(desk | {"LICDESK_MODE": "demo"})[1]


# Database


def test_a_database_that_is_not_there_does_not_answer_or_is_behind(desk: Environ, tmp_path: Path) -> None:
    assert bad(database.look({"LICDESK_DATABASE_URL": f"sqlite:///{tmp_path}/no.sqlite3"}))["database"][0] == "fail"
    assert not (tmp_path / "no.sqlite3").exists(), "looking makes no database"
    away = f"postgresql+psycopg://desk:hidden@127.0.0.1:{free_port()}/desk"
    verdict, said = bad(database.look({"LICDESK_DATABASE_URL": away}))["database"]
    assert (verdict, "hidden" in said, "does not answer" in said) == ("fail", False, True)
    (tmp_path / "empty.sqlite3").touch()
    assert bad(database.look({"LICDESK_DATABASE_URL": f"sqlite:///{tmp_path}/empty.sqlite3"}))["schema"][0] == "fail"


def test_processes_that_do_not_live(desk: Environ) -> None:
    assert "processes" not in bad(database.look(desk))
    engine = create_engine(f"sqlite:///{desk['LICDESK_DATA_DIR']}/desk.sqlite3")
    with transaction(engine) as session:
        housekeeping.beat(session, "general@gone", "", wall_now() - timedelta(hours=5))
    assert bad(database.look(desk))["processes"] == ("warn", "Silent beside living ones: general@gone.")
    with transaction(engine) as session:
        housekeeping.leave(session, "general@here")
    verdict, said = bad(database.look(desk))["processes"]
    assert (verdict, said) == ("fail", "No general process lives; the last word was 5 h ago.")
    engine.dispose()


@pytest.mark.parametrize(("late", "verdict"), [(timedelta(minutes=3), "warn"), (timedelta(minutes=11), "fail")])
def test_work_that_waits_and_work_that_gave_up(desk: Environ, late: timedelta, verdict: str) -> None:
    engine = create_engine(f"sqlite:///{desk['LICDESK_DATA_DIR']}/desk.sqlite3")
    with transaction(engine) as session:
        outbox.owe(session, Job.LETTER, "a")
        session.execute(update(JobRow).values(created_at=wall_now() - late))
    assert bad(database.look(desk)) == {"jobs": (verdict, f"The oldest job has waited for {late.seconds // 60} min.")}
    with transaction(engine) as session:
        session.execute(update(JobRow).values(state="dead"))
    assert bad(database.look(desk)) == {"dead jobs": ("warn", "1 job gave up and wait for an operator.")}
    engine.dispose()


def test_what_ends_soon(desk: Environ) -> None:
    url = f"sqlite:///{desk['LICDESK_DATA_DIR']}/desk.sqlite3"
    everybody_lives(url, {"Trust root, version 2": timedelta(days=61)})
    assert bad(database.look(desk)) == {}
    everybody_lives(url, {"Trust root, version 2": timedelta(days=59)})
    assert bad(database.look(desk))["endings"][1].startswith("Trust root, version 2 ends on ")


@pytest.mark.postgres
def test_connections_that_run_out(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        everybody_lives(url)
        (told,) = [each for each in database.look({"LICDESK_DATABASE_URL": url}) if each.check == "connections"]
    assert (told.verdict, "of 300 connections" in told.said) == (Verdict.OK, True)
    assert bad(iter([database.connections(81, 100)]))["connections"][0] == "warn"
    assert bad(iter([database.connections(80, 100)])) == {}


@pytest.mark.postgres
def test_database_roles_and_a_clock_that_is_wrong(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as url:
        everybody_lives(url)
        environ = {"LICDESK_DATABASE_URL": url}
        assert bad(database.look(environ)) == {}
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("GRANT DELETE ON event TO licdesk_web"))
        assert bad(database.look(environ))["roles"] == (
            "fail",
            "A role's powers are not what they should be: licdesk_web may DELETE event.",
        )
        with engine.begin() as connection:
            connection.execute(text("REVOKE DELETE ON event FROM licdesk_web"))
            connection.execute(text("REVOKE SELECT ON job FROM licdesk_relay"))
        assert "licdesk_relay may not SELECT job" in bad(database.look(environ))["roles"][1]
        with engine.begin() as connection:
            connection.execute(text("GRANT SELECT ON job TO licdesk_relay"))
            # A clock that goes wrong: the real one cannot be set, so the database is told to look into another first.
            name = engine.url.database
            connection.execute(text(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog'))
            connection.execute(
                text(
                    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
                    "$$ SELECT pg_catalog.clock_timestamp() - interval '95 seconds' $$"
                )
            )
        engine.dispose()
        verdict, said = bad(database.look(environ))["clock"]
        assert (verdict, "95." in said) == ("fail", True)


# Broker


def test_a_broker_that_is_away_refuses_or_forgets(valkey: ValkeyServer) -> None:
    assert bad(broker.look({"LICDESK_BROKER_URL": valkey.url})) == {}
    verdict, said = bad(broker.look({"LICDESK_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}))["broker"]
    assert (verdict, "does not answer" in said) == ("fail", True)
    wrong = valkey.url.replace(valkey.broker.password, quote("another one"))
    assert "refuses: WRONGPASS" in bad(broker.look({"LICDESK_BROKER_URL": wrong}))["broker"][1]
    for setting, value, back, said in (
        ("maxmemory-policy", "allkeys-lru", "noeviction", "A full broker drops messages (maxmemory-policy allkeys-lru)."),
        ("appendonly", "no", "yes", "It forgets its messages when it restarts."),
    ):
        configure(valkey, setting, value)
        try:
            assert bad(broker.look({"LICDESK_BROKER_URL": valkey.url}))["broker"][1] == said
        finally:
            configure(valkey, setting, back)
    assert [each.verdict for each in broker.look({"LICDESK_BROKER_URL": "amqp://broker/"})] == [Verdict.SKIP]


def configure(valkey: ValkeyServer, setting: str, value: str) -> None:
    with socket.create_connection(("127.0.0.1", valkey.broker.port), 5) as connection:
        connection.sendall(f"AUTH {valkey.broker.password}\r\nCONFIG SET {setting} {value}\r\n".encode())
        said = connection.recv(100)
        said += connection.recv(100) if said.count(b"+OK") < 2 else b""
        assert said.count(b"+OK") == 2


def test_something_else_behind_the_brokers_port(smtp: SmtpCatcher) -> None:
    assert bad(broker.look({"LICDESK_BROKER_URL": f"redis://127.0.0.1:{smtp.port}/0"}))["broker"][0] == "fail"


# Mail


def way_out(**changes: str) -> Environ:
    return {"LICDESK_SMTP_HOST": "127.0.0.1", "LICDESK_SMTP_TLS": "none", **changes}


def test_a_password_file_that_others_can_read_is_named(smtp: SmtpCatcher, tmp_path: Path) -> None:
    path = tmp_path / "smtp-password"
    path.write_text("a long and secret password")
    given = way_out(LICDESK_SMTP_PORT=str(smtp.port), LICDESK_SMTP_PASSWORD_FILE=str(path))
    path.chmod(0o644)
    assert bad(mail.look(given))["mail passwords"][0] == "fail"
    path.chmod(0o600)
    assert "mail passwords" not in bad(mail.look(given))


def test_a_mail_server_that_is_away_or_offers_no_tls(smtp: SmtpCatcher) -> None:
    assert bad(mail.look(way_out(LICDESK_SMTP_PORT=str(smtp.port)))) == {}
    away = bad(mail.look(way_out(LICDESK_SMTP_PORT=str(free_port()))))["mail server"]
    assert (away[0], "can't be reached" in away[1]) == ("fail", True)
    bare = bad(mail.look(way_out(LICDESK_SMTP_PORT=str(smtp.port), LICDESK_SMTP_TLS="starttls")))["mail server"]
    assert (bare[0], "STARTTLS" in bare[1]) == ("fail", True)
    signed_in = way_out(LICDESK_SMTP_PORT=str(smtp.port), LICDESK_SMTP_USERNAME="desk", LICDESK_SMTP_PASSWORD="no such word")
    assert bad(mail.look(signed_in))["mail server"][0] == "fail"
    assert smtp.messages == [], "nothing is sent"


def test_an_archive_for_mail_in_doubt_that_cannot_be_searched(tmp_path: Path) -> None:
    for folder in ("new", "cur"):
        (tmp_path / folder).mkdir()
    assert "mail archive" not in bad(mail.look({"LICDESK_MAIL_ARCHIVE": f"maildir:{tmp_path}"}))
    for url, said in ((f"maildir:{tmp_path}/gone", "can't be read"), ("mbox:/var/mail/sent", "Write maildir:")):
        grade, words, *_ = bad(mail.look({"LICDESK_MAIL_ARCHIVE": url}))["mail archive"]
        assert (grade, said in words) == ("fail", True)


def test_an_authority_that_is_not_there_and_a_revocation_list_that_is_late(tmp_path: Path) -> None:
    authority = make_authority(wall_now())
    (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    given = {"LICDESK_MAIL_CA": str(tmp_path / "ca.pem"), "LICDESK_MAIL_CRL": str(tmp_path / "ca.crl")}
    for until, grade in ((timedelta(days=7), None), (-timedelta(days=1), "warn")):
        (tmp_path / "ca.crl").write_bytes(revocation_list(authority, next_update=until))
        assert bad(mail.look(given)).get("recipients' certificates", (None,))[0] == grade
    (tmp_path / "ca.crl").write_bytes(b"no list")
    assert bad(mail.look(given))["recipients' certificates"][0] == "fail"
    assert (
        "holds no certificate" in bad(mail.look({"LICDESK_MAIL_CA": str(tmp_path / "gone.pem")}))["recipients' certificates"][1]
    )


def test_a_mail_signer_that_cannot_sign(mail_keys: DemoFiles, tmp_path: Path) -> None:
    key = tmp_path / "signer.key"
    shutil.copyfile(mail_keys.signer_key, key)
    key.chmod(0o600)
    good = {
        "LICDESK_MAIL_SENDER": "licensing@serviceme.example",
        "LICDESK_MAIL_SIGNER_CERTIFICATE": str(mail_keys.signer_certificate),
        "LICDESK_MAIL_SIGNER_KEY": str(key),
    }
    assert bad(mail.look(good)) == {}
    assert bad(mail.look(good | {"LICDESK_MAIL_SENDER": "other@serviceme.example"}))["mail signer"][0] == "fail"
    assert bad(mail.look(good | {"LICDESK_MAIL_SIGNER_KEY": str(tmp_path / "no.key")}))["mail signer"][0] == "fail"
    key.chmod(0o640)
    assert bad(mail.look(good))["mail signer"] == ("fail", f"Others can read its key {key}.")


# Keys and trust root


def with_keys(environ: Environ, issuer_keys: Path, tmp_path: Path) -> Environ:
    """A copy of real keys that a test may damage."""
    for name in ("keys", "trust"):
        shutil.copytree(issuer_keys / name, tmp_path / name)
    shutil.copyfile(issuer_keys / "secret", tmp_path / "secret")
    (tmp_path / "secret").chmod(0o600)
    named = [f"{name.upper()}={(tmp_path / 'keys' / f'issuer-{name}.pem').as_uri()}" for name in ("dev", "uat", "prod")]
    return environ | {
        "LICDESK_ISSUER_KEYS": ",".join(named),
        "LICDESK_ISSUER_KEY_SECRET_FILE": str(tmp_path / "secret"),
        "LICDESK_TRUST_DIR": str(tmp_path / "trust"),
    }


Damage = Callable[[Path, Environ], None]


def _forget_prod(home: Path, environ: Environ) -> None:
    environ["LICDESK_ISSUER_KEYS"] = environ["LICDESK_ISSUER_KEYS"].rpartition(",")[0]


def _forget_secret(home: Path, environ: Environ) -> None:
    del environ["LICDESK_ISSUER_KEY_SECRET_FILE"]


@pytest.mark.parametrize(
    ("damage", "check", "said"),
    [
        (lambda home, _: (home / "keys/issuer-prod.pem").unlink(), "issuer keys", "The key of PROD, "),
        (lambda home, _: (home / "keys/issuer-uat.pem").chmod(0o644), "issuer keys", "can be read by others"),
        (lambda home, _: (home / "keys/issuer-dev.pem").write_bytes(b""), "issuer keys", "is empty"),
        (lambda home, _: (home / "secret").chmod(0o604), "issuer keys", "The secret, "),
        (_forget_prod, "issuer keys", "None is named for PROD."),
        (_forget_secret, "issuer keys", "The secret that opens them is not set."),
        (lambda home, _: (home / "trust/pin.txt").write_text("0" * 64), "trust root", "not the pinned"),
        (lambda home, _: (home / "trust/pin.txt").unlink(), "trust root", "cannot be read"),
        (lambda home, _: (home / "trust/root-1.json").write_text("{"), "trust root", ""),
    ],
)
def test_keys_and_trust_root_that_are_wrong(issuer_keys: Path, tmp_path: Path, damage: Damage, check: str, said: str) -> None:
    environ = with_keys({}, issuer_keys, tmp_path)
    assert bad(custody.look(environ)) == {}
    damage(tmp_path, environ)
    found = bad(custody.look(environ))
    assert set(found) == {check}
    assert found[check][0] == "fail"
    assert said in found[check][1]


# Files


def test_files_that_others_can_read_and_a_disk_that_is_full(desk: Environ, tmp_path: Path) -> None:
    assert bad(files.look(desk)) == {} or set(bad(files.look(desk))) == {"disk"}
    data = Path(desk["LICDESK_DATA_DIR"])
    data.chmod(0o755)
    assert bad(files.look(desk))["files"][1] == f"Others can look into {data}."
    data.chmod(0o700)
    (data / "desk.sqlite3-wal").touch(mode=0o644)
    (data / "desk.sqlite3-wal").chmod(0o644)
    assert bad(files.look(desk))["files"][0] == "fail"
    assert bad(files.look({"LICDESK_DATA_DIR": str(tmp_path / "nowhere")}))["files"][0] == "warn"
    assert [files.disk(data, free).verdict.value for free in (10**8, 10**9, 10**10)] == ["fail", "warn", "ok"]


def test_the_data_directory_moves_what_lies_in_it(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/desk.sqlite3")
    upgrade(engine)
    engine.dispose()
    here = {"LICDESK_DATA_DIR": str(tmp_path)}
    assert licdesk("users", "add", "a@b.example", "--name", "Ada", "--role", "operator", environ=here).exit_code == 0
    assert "Ada" in licdesk("users", "list", environ=here).stdout
