"""The history: one line of time, page by page, without gaps, safe in a spreadsheet."""

from tests.console import vendor
from tests.console.acting import activated, taken_in
from workflow.console import history
from workflow.console.identity import Console
from workflow.console.store import StagedUpload
from workflow.database import reading
from workflow.times import utc_now


def test_installed_and_refused_files_are_in_one_line_newest_first(console: Console) -> None:
    activated(console, vendor.lic(1))
    taken_in(console, b"nonsense", name="broken.lic")
    activated(console, vendor.lic(2))
    with reading(console.engine) as session:
        entries = history.page(session).entries
    assert [each.installed.version if each.installed else each.refused.code for each in entries] == [2, "DAMAGED", 1]  # type: ignore[union-attr]


def test_pages_have_neither_gaps_nor_repetitions_also_within_one_instant(console: Console) -> None:
    activated(console, vendor.lic(1))
    at = utc_now()
    for number in range(12):
        taken_in(console, f"nonsense {number}".encode(), now=at)
    seen: list[str] = []
    before = None
    with reading(console.engine) as session:
        while True:
            part = history.page(session, before, size=5)
            seen += [each.key[1] for each in part.entries]
            if part.older_than is None:
                break
            before = part.older_than
    assert len(seen) == len(set(seen)) == 13


def test_the_exact_bytes_are_kept(console: Console) -> None:
    raw = vendor.lic().replace(b"\n", b"\r\n")  # as a mail program may have made it
    row = activated(console, raw)
    with reading(console.engine) as session:
        assert history.get_installed(session, row.id or 0).raw == raw


def test_a_refused_file_has_no_terms_in_the_table(console: Console) -> None:
    taken_in(console, vendor.lic(7, key="a stranger"), name="seven.lic")
    with reading(console.engine) as session:
        (row,) = history.rows(session)
    facts = dict(zip(history.CSV_COLUMNS, row, strict=True))
    assert (facts["result"], facts["code"], facts["file"], facts["person"]) == (
        "refused", "UNKNOWN_KEY", "seven.lic", vendor.ADMIN,
    )  # fmt: skip
    assert {facts[name] for name in ("license_id", "version", "valid_from", "valid_until", "agents", "users")} == {""}


def test_a_staged_file_is_not_history_yet(console: Console) -> None:
    assert isinstance(taken_in(console, vendor.lic()), StagedUpload)
    with reading(console.engine) as session:
        assert history.page(session).entries == ()
