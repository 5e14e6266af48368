"""Every vector leads to what its index says, and the committed files are the ones the script makes."""

import json
from datetime import datetime
from typing import Any

import pytest

from workflow.license_file import Expected, Installed, LicenseRefused, Result, TrustChain, VerifiedLicense, verify_license

from .make_vectors import HERE, PUBLISHED, files

INDEX: list[dict[str, Any]] = json.loads((HERE / "index.json").read_bytes())


def judged(entry: dict[str, Any]) -> VerifiedLicense | LicenseRefused:
    platform = dict(entry["platform"])
    if "installed" in platform:
        platform["installed"] = Installed(**platform["installed"])
    chain = TrustChain.load([(HERE / name).read_bytes() for name in entry["roots"]], (HERE / "pin.txt").read_text())
    raw = (HERE / entry["file"]).read_bytes()
    try:
        return verify_license(raw, chain.current, Expected(**platform), datetime.fromisoformat(entry["at"]))
    except LicenseRefused as refused:
        return refused


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry["file"])
def test_vector_leads_to_what_the_index_says(entry: dict[str, Any]) -> None:
    verdict = judged(entry)
    failed = [check.detail for check in verdict.checks if check.result is Result.FAILED]
    if isinstance(verdict, LicenseRefused):
        assert verdict.code == entry["expect"]
        assert failed == [str(verdict)]
        assert str(verdict).endswith(".")
    else:
        assert verdict.state == entry["expect"]
        assert failed == []


def test_every_code_of_a_refused_license_has_a_vector() -> None:
    codes = {each.code for each in LicenseRefused.__subclasses__()}
    assert codes <= {entry["expect"] for entry in INDEX}


def test_the_committed_vectors_are_those_the_script_makes() -> None:
    made = files()
    committed = {path: path.read_bytes() for directory in (HERE, PUBLISHED) for path in directory.iterdir()}
    assert committed.keys() == made.keys()
    assert [path.name for path in made if made[path] != committed[path]] == []
