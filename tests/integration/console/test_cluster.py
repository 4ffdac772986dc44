"""A console as a pod on a cluster starts it: by TLS, for whoever has a token that the real kube-apiserver takes."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from harness.accessibility import faults_of
from harness.console import a_cluster_console
from harness.console_client import Answer, ask, let_in
from harness.json_web_tokens import a_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser as Chromium

    from harness.api_server import Server
    from harness.control_plane import ControlPlane
    from integration.console.conftest import UserOf


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A console that runs.

    Attributes:
        url: Where.
        log: All that it says.
    """

    url: str
    log: Path

    def show(self, token: str, **headers: str) -> Answer:
        """Show it a token, as the signed-out page does; a header of ``""`` is left out."""
        host = self.url.partition("//")[2]
        sent = {"Host": host, "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps({"token": token})
        sent = {name: value for name, value in sent.items() if value}
        return ask(self.url, "POST", "/sign-in/token", headers=sent, body=body)


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with a_cluster_console(control_plane, tmp_path_factory.mktemp("console")) as (url, log):
        yield Cluster(url, log)


def test_who_has_a_token_signs_in_with_its_rights_until_it_ends(
    cluster: Cluster, server: Server, user_of: UserOf
) -> None:
    token = user_of("view").token
    answer = cluster.show(token)
    assert answer.status == 200 and answer.headers["Strict-Transport-Security"]
    browser = let_in(cluster.url, answer, answer.json()["place"])
    session = browser.ask("GET", f"/{browser.place}/session").json()
    # Of a ServiceAccount's tokens kube-apiserver makes those of an hour where nobody says otherwise.
    assert (
        session["user"].startswith(f"system:serviceaccount:{server.namespace}:") and 3500 < session["seconds"] <= 3600
    )
    assert browser.ask("GET", f"/{browser.place}/k8s{server.servers}").status == 200
    assert browser.ask("GET", f"/{browser.place}/k8s/api/v1/nodes").status == 403
    assert browser.ask("DELETE", f"/{browser.place}/session").status == 204
    assert browser.ask("GET", f"/{browser.place}/k8s{server.servers}").status == 401
    assert token not in cluster.log.read_text() and token.rpartition(".")[2] not in str(answer.headers) + answer.text


def test_a_token_that_the_api_does_not_take_is_refused_with_the_reason(cluster: Cluster, user_of: UserOf) -> None:
    whole, _, signature = user_of("view").token.rpartition(".")
    ended = a_token('{"exp": 1700000000}')
    for token, told in (
        ("wrong", "does not know you: what you showed is wrong, is over, or is another cluster's"),
        (f"{whole}.{signature[::-1]}", "does not know you"),
        (ended, "the token has ended at 2023-11-14 22:13:20 UTC: get a new one"),
        ("a b", "this is no bearer token"),
    ):
        answer = cluster.show(token)
        assert (answer.status, "Set-Cookie" in answer.headers) == (401, False)
        assert told in answer.text and "wrong" not in cluster.log.read_text()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Host": "attacker.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_attack_another_sites_page_signs_nobody_in_with_a_token_of_its_own(
    cluster: Cluster, user_of: UserOf, headers: dict[str, str]
) -> None:
    answer = cluster.show(user_of("view").token, **headers)
    assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)


def test_attack_what_somebody_sends_who_is_not_signed_in_is_small(cluster: Cluster) -> None:
    assert cluster.show("a" * 40_000).status == 413


def test_a_token_is_pasted_into_the_page_and_nothing_of_it_stays_in_the_browser(
    cluster: Cluster, server: Server, user_of: UserOf, browser: Chromium
) -> None:
    token = user_of("edit").token
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    # A form that cannot be loaded says what to do.
    page.route("**/assets/SignedOut*", lambda route: route.abort())
    page.goto(f"{cluster.url}/#/events")
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()
    page.unroute("**/assets/SignedOut*")
    page.reload()
    page.get_by_label("Your token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know you")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert faults_of(page) == []
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Events")).to_be_visible()
    assert page.url.endswith("/#/events") and token not in page.url + page.content()
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, history.state, document.cookie])"
    assert page.evaluate(kept) == '[{},{},null,""]'
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your token")).to_have_value("")
    assert token not in cluster.log.read_text()
    context.close()
