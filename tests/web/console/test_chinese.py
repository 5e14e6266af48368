"""License Management in Chinese: chosen by the browser or by a button, remembered, and without a sentence left in English."""

import re
import sys
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.console import vendor
from tests.console.acting import activated, reported
from tests.web.console_page import PATH, Visitor
from workflow.catalogues import DIRECTORY, Catalogue, CatalogueUnreadable, entries
from workflow.console.identity import Console
from workflow.license_file import Environment, Module

sys.path.append(str(Path(__file__).resolve().parents[3] / "docs"))
import make_translations

DAY = timedelta(days=1)
ENGLISH = re.compile(r"\b[A-Za-z][a-z']+(?: [a-z][a-z']+)+")
"""two words in a row that look like a sentence"""
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}


@pytest.fixture
def admin(app: FastAPI) -> Visitor:
    visitor = Visitor.signed_in(app)
    visitor.client.headers.update(CHINESE)
    visitor.open()
    return visitor


def english_in(visitor: Visitor) -> list[str]:
    """What looks like English on the page, also where only assistive technology reads it."""
    html = re.sub(r'<button[^>]*lang="en".*?</button>|<(script|style|svg|code)\b.*?</\1>', " ", visitor.page.text, flags=re.S)
    spoken = re.findall(r'(?:aria-label|title|data-l|placeholder)="([^"]*)"', html)
    words = unescape(" ".join([re.sub(r"<[^>]+>", " | ", html), *(f"| {each} |" for each in spoken)]))
    for name in ("SERVICEME license desk", "pasted license", vendor.claims().licensee.company, "licdesk console administrator"):
        words = words.replace(name, "")
    return ENGLISH.findall(words)


def test_every_sentence_of_the_console_and_of_the_letters_is_in_the_catalogue() -> None:
    path = DIRECTORY / "zh_Hans.po"
    assert make_translations.untranslated(path) == []
    assert make_translations.unused(path) == [], "run python docs/make_translations.py"


def test_translations_tell_the_same_facts() -> None:
    fact = re.compile(r"%\(\w+\)s|%%")
    for each in entries(DIRECTORY / "zh_Hans.po"):
        if each.source:
            assert set(fact.findall(each.translation)) == set(fact.findall(each.source)), each.source


def test_a_sentence_put_together_at_run_time_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "bad.py").write_text('say(f"{n} files")')
    monkeypatch.setattr(make_translations, "ROOT", tmp_path)
    with pytest.raises(make_translations.NotALiteral):
        make_translations.messages()


def test_what_a_translator_did_not_confirm_stays_english(tmp_path: Path) -> None:
    path = tmp_path / "xx.po"
    path.write_text('msgid ""\nmsgstr ""\n\n#, fuzzy\nmsgid "Menu"\nmsgstr "x"\n\nmsgid "Long"\nmsgstr ""\n"a \\"b\\""\n"c"\n')
    read = Catalogue(path)
    assert read.gettext("Menu") == "Menu"
    assert read.gettext("Long") == 'a "b"c'
    path.write_text("msgid nonsense\n")
    with pytest.raises(CatalogueUnreadable, match=r"xx\.po:1"):
        Catalogue(path)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"), ("zh", "zh-Hans"), ("zh-Hant-TW", "zh-Hans"), ("en-GB,zh;q=0.5", "en"),
        ("fr, zh;q=0.3", "zh-Hans"), ("de", "en"), ("zh;q=0, en", "en"), ("", "en"), (";;;q=x,,", "en"), ("zh;q=nan", "en"),
    ],
)  # fmt: skip
def test_the_browser_says_which_language(app: FastAPI, header: str, tag: str) -> None:
    visitor = Visitor.at(app)
    assert f'<html lang="{tag}"' in visitor.client.get("/console/sign-in", headers={"Accept-Language": header}).text


def test_the_button_is_remembered_and_leads_back(app: FastAPI) -> None:
    visitor = Visitor.at(app)
    visitor.client.headers["Referer"] = str(visitor.page.url)
    visitor.post("/console/language", language="zh-Hans")
    assert "登录平台控制台" in visitor.text
    assert "next=/console/license" in str(visitor.page.url)
    visitor.client.headers["Accept-Language"] = "en"
    visitor.post("/console/sign-in", email=vendor.ADMIN, password=vendor.PASSWORD, next=PATH)
    assert "尚无许可证" in visitor.text
    visitor.client.headers["Referer"] = str(visitor.page.url)
    visitor.post("/console/language", language="en")
    assert "No license yet" in visitor.text
    assert visitor.post("/console/language", language="tlh").status_code == 200
    assert "No license yet" in visitor.text


def test_the_button_on_the_answer_to_a_form_leads_to_a_page(admin: Visitor) -> None:
    for address in (f"{PATH}/uploads", f"{PATH}/uploads/UP-1/activate"):
        answer = admin.client.get(address, follow_redirects=False)
        assert answer.status_code == 303


def test_the_whole_way_in_chinese(admin: Visitor, console: Console) -> None:
    assert english_in(admin) == []
    admin.upload(vendor.lic(), "v1.lic")
    assert "激活之前请核对版本 1" in admin.text
    assert english_in(admin) == []
    admin.activate()
    assert "版本 1 已激活" in admin.text
    assert re.search(r"最后可用日 \d{4}年\d+月\d+日", admin.text)
    assert english_in(admin) == []
    reported(console, agents=71, users=412, modules={"workflow": 3}, model_types={"speech": 12})
    admin.open()
    assert "已用 89%" in admin.text
    admin.upload(vendor.lic(2, modules=(Module("agent-studio"),), model_types=("chat",)), "v2.lic")
    for shown in ("语音模型将停用：目前有 12 个智能体在使用", "Workflow 将停用：目前有 3 个智能体在使用", "我已知悉有"):
        assert shown in admin.text
    assert english_in(admin) == []
    admin.activate()
    assert "请确认您已知悉哪些功能将停用" in admin.text
    assert english_in(admin) == []
    admin.activate(acknowledged="yes")
    admin.upload(vendor.lic(3, starts=10 * DAY), "v3.lic")
    assert "排期之前请核对版本 3" in admin.text
    assert english_in(admin) == []
    admin.activate(acknowledged="yes")
    assert "版本 3 已排期" in admin.text
    assert english_in(admin) == []
    admin.upload(vendor.lic(3, starts=10 * DAY, issued_at=vendor.claims().issued_at + DAY / 24), "v3.lic")
    assert "内容不同的版本 3" in admin.text
    assert english_in(admin) == []


REFUSED = {
    "DAMAGED": b"hello",
    "TOO_LARGE": b"x" * 200_000,
    "UNKNOWN_KEY": vendor.lic(key="a stranger"),
    "WRONG_ENVIRONMENT": vendor.lic(key="issuer-uat", environment=Environment.UAT, license_id="UAT-7Q2MX-4TBK9-HZ0CE"),
    "EXPIRED": vendor.lic(2, starts=-400 * DAY, lasts=30 * DAY),
    "BAD_SIGNATURE": re.sub(rb'"sig": "....', b'"sig": "AAAA', vendor.lic()),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refusals_are_explained_in_chinese(admin: Visitor, code: str) -> None:
    admin.upload(REFUSED[code], "file.lic")
    assert "此文件无法使用" in admin.text
    assert english_in(admin) == []
    admin.client.headers["Accept-Language"] = "en"
    admin.open(str(admin.page.url))
    assert "This file can't be used" in admin.text


def test_errors_and_the_way_out_are_in_chinese(app: FastAPI, admin: Visitor) -> None:
    admin.send([("file", ("", b""))])
    assert "请选择邮件中的 .lic 文件" in admin.text
    assert english_in(admin) == []
    admin.open(f"{PATH}/uploads/UP-0")
    assert admin.page.status_code == 404
    assert english_in(admin) == []
    admin.open("/nowhere")
    assert english_in(admin) == []
    member = Visitor.at(app)
    member.client.headers.update(CHINESE)
    member.open()
    assert english_in(member) == []
    member.post("/console/sign-in", email=vendor.MEMBER, password="wrong password", next=PATH)
    assert "电子邮箱或密码不正确" in member.text
    assert english_in(member) == []
    member.post("/console/sign-in", email=vendor.MEMBER, password=vendor.PASSWORD, next=PATH)
    assert "请联系平台管理员" in member.text
    assert english_in(member) == []
    admin.open()
    admin.post("/console/sign-out")
    assert "您已退出登录" in admin.text


def test_a_revocation_list_is_previewed_in_chinese(admin: Visitor, console: Console) -> None:
    activated(console, vendor.lic(1))
    reason = "issued by mistake"
    admin.upload(vendor.lrl(1, 1, 7, below=1), "list.lrl")
    assert "启用前请检查吊销列表第 1 号" in admin.text
    assert "生效中的许可证被撤回" in admin.text
    assert [said for said in english_in(admin) if said != reason] == []
    admin.upload(vendor.lrl(2, 1, key="issuer-prod"), "list.lrl")
    assert "吊销列表无法使用" in admin.text
    assert english_in(admin) == []
