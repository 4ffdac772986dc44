from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from virtualserver.console.settings import SettingsError, load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("")
    return tmp_path


def written(folder: Path, **changed: str) -> Path:
    lines = {"url": "https://console.example.org", "certificate": folder / "tls.crt", "key": folder / "tls.key"}
    file = folder / "settings.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in {**lines, **changed}.items() if value))
    return file


def test_settings_are_read(folder: Path) -> None:
    settings = load(written(folder))
    assert (settings.url, settings.key) == ("https://console.example.org", str(folder / "tls.key"))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("url", "http://console.example.org", "'http://console.example.org' is no address of a console"),
        ("url", "https://console.example.org/", "write https://HOST"),
        ("url", "https://console.example.org:443", "write https://HOST"),
        ("url", "https://Console.example.org", "write https://HOST"),
        ("url", "https://console.example.org:99999", "write https://HOST"),
        ("url", "", "settings.url: is required: add it"),
        ("key", "/nowhere", "settings.key: '/nowhere' cannot be read (No such file or directory): name a file"),
        ("urls", "x", "settings.urls: is not known: did you mean url?"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_field(folder: Path, field: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(written(folder, **{field: value}))
    assert f"{folder / 'settings.yaml'}: settings." in str(refused.value) and told in str(refused.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "settings.yaml")


def test_every_fault_is_told_at_once(folder: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(written(folder, url="", certificate=""))
    assert all(f"settings.{field}: is required" in str(refused.value) for field in ("url", "certificate"))
