"""What the desk is set up to offer: a license must be able to say it, and that is found out at start."""

from pathlib import Path

import pytest

from workflow.domain.catalogue import CatalogueUnusable
from workflow.errors import Misconfigured
from workflow.services.desk import SHIPPED_CATALOGUE, desk_from
from workflow.settings import Database

GOOD = SHIPPED_CATALOGUE.read_text()


def with_catalogue(tmp_path: Path, text: str) -> Database:
    path = tmp_path / "catalogue.toml"
    path.write_text(text, encoding="utf-8")
    return Database(catalogue=path)


def test_the_shipped_settings_are_fit_for_licenses() -> None:
    desk = desk_from(Database())
    assert 7 in desk.reminder_days
    assert desk.defaults.contact_url == "http://127.0.0.1:8300"


def test_a_catalogue_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnusable, match="nowhere"):
        desk_from(Database(catalogue=tmp_path / "nowhere.toml"))
    with pytest.raises(CatalogueUnusable, match="cannot be read"):
        desk_from(with_catalogue(tmp_path, "[[module]\n"))
    (tmp_path / "latin.toml").write_bytes(b'[[module]]\ncode = "a"\nname = "M\xfcller"\n')
    with pytest.raises(CatalogueUnusable, match="cannot be read"):
        desk_from(Database(catalogue=tmp_path / "latin.toml"))


@pytest.mark.parametrize(
    ("addition", "member"),
    [
        ('[[module]]\ncode = "Agent Studio!"\nname = "x"\n', "modules"),
        ('[[model_type]]\ncode = "*"\nname = "x"\n', "model_types"),
        ('[[restriction]]\ncode = "x"\nname = "x"\ntext = "hidden \\u202e words"\n', "'x'.*direction-changing"),
        ('[[restriction]]\ncode = "x"\nname = "x"\ntext = """two\nlines"""\n', "'x'.*control character"),
    ],
    ids=["module", "model type", "hidden sign", "two lines"],
)
def test_an_entry_that_no_license_can_hold_stops_the_start(tmp_path: Path, addition: str, member: str) -> None:
    with pytest.raises(Misconfigured, match=member):
        desk_from(with_catalogue(tmp_path, f"{GOOD}\n{addition}"))


@pytest.mark.parametrize(
    "settings",
    [
        Database(contact_url="licenses.example.com"),
        Database(contact_name=""),
        Database(contact_phone="+86 21 5550 0100 \u202e"),
        Database(issuer_name=""),
        Database(issuer_name="哈" * 60),
        Database(on_expiry="explode"),
        Database(grace_days=-1),
    ],
    ids=["url without scheme", "no name", "hidden sign", "no issuer", "long issuer", "unknown word", "negative grace"],
)
def test_a_setting_that_no_license_can_hold_stops_the_start(settings: Database) -> None:
    with pytest.raises(Misconfigured):
        desk_from(settings)
