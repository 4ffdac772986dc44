"""What somebody does in a browser, with the real kube-apiserver behind it; what becomes of servers is not seen here."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from harness.accessibility import faults_of
from harness.console import RunningConsole, a_console
from harness.network_paths import answered_with, path_of_a_shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from harness.api_server import Server
    from harness.control_plane import ControlPlane
    from integration.console.conftest import UserOf


def a_server(server: Server, name: str, **metadata: Any) -> dict[str, Any]:
    """Return a manifest."""
    root = {"size": "4Gi", "storageClassName": "local", "source": {"pvc": {"namespace": "vd-images", "name": "debian"}}}
    return {
        "apiVersion": "virtualservers.coreweave.com/v1alpha1",
        "kind": "VirtualServer",
        "metadata": {"name": name, "namespace": server.namespace, **metadata},
        "spec": {
            "os": {"type": "linux"},
            "resources": {"cpu": {"count": 1}, "memory": "1Gi"},
            "storage": {"root": root},
            "network": {"public": True, "tcp": {"ports": [22]}},
        },
    }


@pytest.fixture(autouse=True)
def console() -> Iterator[RunningConsole]:
    """A console of this test's own: it keeps what people have begun, which is not the next test's."""
    with a_console() as console:
        yield console


@pytest.fixture
def signed_in(page: Page, console: RunningConsole, control_plane: ControlPlane, server: Server) -> Page:
    """The page of the list, as the administrator sees it."""
    page.goto(console.link(control_plane.kubeconfig))
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    return page


def test_a_link_works_once_and_its_code_is_not_in_the_address(
    page: Page, console: RunningConsole, control_plane: ControlPlane
) -> None:
    link = console.link(control_plane.kubeconfig)
    page.goto(link)
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    assert re.fullmatch(re.escape(console.url) + "/[0-9a-f]{32}/", page.url)
    page.reload()
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    page.goto(link)
    expect(page.get_by_text("go back to that one")).to_be_visible()


def test_a_server_is_made_with_switches_and_is_in_the_list_at_once(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="New server").click()
    page.get_by_label("Name", exact=True).fill("shop")
    page.get_by_label("Namespace").fill(server.namespace)
    page.get_by_label("Add a TCP port").fill("8080")
    page.get_by_label("Add a TCP port").press("Enter")
    expect(page.get_by_text("Public. 22/TCP, 8080/TCP.")).to_be_visible()
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    expect(page.get_by_text("lets nobody log in")).to_be_visible()
    page.get_by_role("button", name="Effective").click()
    expect(page.get_by_label("Effective").last).to_contain_text("runStrategy: RerunOnFailure")
    page.get_by_role("button", name="Manifest").click()
    page.get_by_role("button", name="Create").click()
    row = page.get_by_role("row").filter(has_text="shop")
    expect(row).to_contain_text("Waiting")
    network = server.get("shop")["spec"]["network"]
    assert (network["public"], network["tcp"]) == (True, {"ports": [22, 8080]})
    # What somebody else changes is seen without asking again.
    ready = {"type": "Ready", "status": "False", "reason": "PoolExhausted", "message": "the pool has no free address"}
    server.patch(
        "shop", {"status": {"conditions": [ready], "network": {"internalIP": "10.42.0.9"}}}, subresource="/status"
    )
    expect(row).to_contain_text("the pool has no free address")
    expect(row).to_contain_text("10.42.0.9")
    expect(row.get_by_role("link", name="PoolExhausted")).to_have_attribute("href", "#/addresses")
    assert faults_of(page) == []
    page.get_by_label("All about shop").click()
    expect(page.get_by_text("Next: delete what holds an address")).to_be_visible()
    page.get_by_label("All about shop").click()
    server.call("DELETE", f"{server.servers}/shop")
    expect(row).to_have_count(0)


def test_direct_attach_takes_the_ports_and_gives_them_back(signed_in: Page) -> None:
    page = signed_in
    page.get_by_role("link", name="New server").click()
    direct = page.get_by_role("switch", name="LoadBalancer IP")
    direct.check()
    expect(page.get_by_text("Public. Direct attach.")).to_be_visible()
    expect(page.get_by_label("Add a TCP port")).to_be_disabled()
    text = page.locator(".cm-content")
    expect(text).to_contain_text("directAttachLoadBalancerIP: true")
    expect(text).not_to_contain_text("tcp")
    direct.uncheck()
    expect(page.get_by_text("Public. 22/TCP.")).to_be_visible()
    expect(text).to_contain_text("ports: [22]")


def test_text_and_form_say_the_same_and_a_fault_freezes_the_form(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="New server").click()
    text = page.locator(".cm-content")
    expect(text).to_contain_text("kind: VirtualServer")
    text.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(
        f"# mine\nkind: VirtualServer\napiVersion: virtualservers.coreweave.com/v1alpha1\n"
        f"metadata: {{name: web, namespace: {server.namespace}}}\nspec:\n  network: {{public: no}} # quiet\n"
    )
    expect(page.get_by_label("Name", exact=True)).to_have_value("web")
    expect(page.get_by_role("switch", name="Public IP")).not_to_be_checked()
    expect(page.get_by_text("Required value: add it; kubectl explain vs.spec.os")).to_be_visible()
    page.get_by_role("switch", name="Public IP").check()
    expect(text).to_contain_text("network: {public: true} # quiet")
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("  oh: [")
    expect(page.get_by_text("the form waits")).to_be_visible()
    expect(page.get_by_role("switch", name="Public IP")).to_be_disabled()
    expect(page.get_by_role("button", name="Create")).to_be_disabled()
    expect(page.get_by_label("Name", exact=True)).to_have_value("web")
    page.get_by_role("button", name="Last good text").click()
    expect(page.get_by_role("switch", name="Public IP")).to_be_enabled()
    # What a server has that there is takes the text's place, and undo brings the text back.
    server.create(a_server(server, "model"))
    page.get_by_label("Load from a server").fill(f"{server.namespace}/model")
    page.get_by_role("button", name="Load", exact=True).click()
    expect(text).to_contain_text("memory: 1Gi")
    expect(page.get_by_label("Name", exact=True)).to_have_value("web")
    expect(text).not_to_contain_text("# mine")
    expect(text).not_to_contain_text("dnsPolicy")
    text.click()
    page.keyboard.press("Control+z")
    expect(text).to_contain_text("# mine")


def test_a_change_meets_somebody_elses_and_nothing_is_overwritten(signed_in: Page, server: Server) -> None:
    page = signed_in
    server.create(a_server(server, "shared"))
    page.get_by_label("All about shared").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Add a TCP port").fill("443")
    page.get_by_role("button", name="Add").first.click()
    expect(page.get_by_text("spec.network.tcp.ports now")).to_be_visible()
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    # What the operator writes of its state is nobody's wish, and in nobody's way.
    server.patch("shared", {"status": {"network": {"internalIP": "10.42.0.9"}}}, subresource="/status")
    server.patch("shared", {"spec": {"region": "north", "network": {"public": False, "tcp": {"ports": [22, 80]}}}})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else has changed this server")).to_be_visible()
    expect(page.get_by_role("row", name="spec.network.tcp.ports")).to_contain_text("[22][22,80][22,443]")
    assert server.get("shared")["spec"]["network"]["tcp"] == {"ports": [22, 80]}
    page.get_by_role("button", name="Take all theirs that I did not change").click()
    expect(page.get_by_label("Region")).to_have_value("north")
    page.get_by_role("button", name="go on with my text").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Virtual servers")).to_be_visible()
    spec = server.get("shared")["spec"]
    assert (spec["region"], spec["network"]["public"], spec["network"]["tcp"]) == ("north", False, {"ports": [22, 443]})


def test_who_may_only_look_sees_one_namespace_and_no_way_to_change_it(
    page: Page, console: RunningConsole, server: Server, user_of: UserOf
) -> None:
    server.create(a_server(server, "looked-at"))
    page.clock.install()
    page.goto(console.link_of(user_of("view")))
    expect(page.get_by_text(f"the namespace {server.namespace}")).to_be_visible()
    with page.expect_response(lambda answer: '"delete"' in (answer.request.post_data or "")):
        page.get_by_label("All about looked-at").click()
    expect(page.get_by_text("Conditions")).to_be_visible()
    for name in ("Start", "Stop", "Restart", "Delete"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    for name in ("New server", "Edit", "Use as template"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    # What they are given meanwhile they have without loading the page again.
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{server.namespace}/rolebindings"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    everybody = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts"}
    server.call("POST", bindings, {"metadata": {"name": "more"}, "roleRef": role, "subjects": [everybody]})
    page.clock.fast_forward("00:20")
    # Where the API server has not heard of it by then, the page asks once more.
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_enabled(timeout=40_000)
    expect(page.get_by_role("link", name="New server")).to_be_visible()
    server.call("DELETE", f"{bindings}/more")


def test_who_may_edit_one_namespace_makes_and_deletes_a_server_in_it(
    page: Page, console: RunningConsole, server: Server, user_of: UserOf
) -> None:
    page.goto(console.link_of(user_of("edit")))
    page.get_by_role("link", name="New server").click()
    page.get_by_label("Name", exact=True).fill("own")
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    page.get_by_label("All about own").click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete own?")
    expect(dialog).to_contain_text("It has no root disk.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_label("All about own")).to_have_count(0)


def test_what_tenants_write_is_shown_as_text(signed_in: Page, server: Server) -> None:
    page = signed_in
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page.on("dialog", lambda dialog: pytest.fail(f"a tenant's words ran: {dialog.message}"))
    manifest = a_server(server, "evil", annotations={"evil": evil})
    manifest["spec"]["region"] = manifest["spec"]["cloudInit"] = evil
    server.create(manifest)
    condition = {"type": evil, "status": "False", "reason": evil, "message": evil}
    network = {"internalIP": evil, "externalIP": "javascript:alert(3)", "floatingIPs": {evil: evil}}
    status = {"conditions": [{**condition, "type": "Ready"}, condition], "network": network}
    server.patch("evil", {"status": status}, subresource="/status")
    event = {
        "metadata": {"name": "evil.1", "namespace": server.namespace},
        "involvedObject": {"kind": "VirtualServer", "name": "evil", "namespace": server.namespace},
        "reason": evil,
        "message": evil,
        "type": "Warning",
    }
    server.call("POST", f"/api/v1/namespaces/{server.namespace}/events", event)
    page.get_by_label("All about evil").click()
    expect(page.get_by_text(evil).first).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text=evil).last).to_be_visible()
    assert page.locator("img, script:not([src])").count() == 0
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Region")).to_have_value(evil)


def fits(page: Page) -> None:
    """Wait until nothing scrolls sideways any more, once the page has become as wide as it is to be."""
    for _ in range(50):
        if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the page scrolls sideways")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_for_everybody(signed_in: Page, server: Server, scheme: Any) -> None:
    page = signed_in
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    name = f"plain-{scheme}"
    server.create(a_server(server, name, labels={"tier": "front"}))
    answered_with(page, path_of_a_shop(server.namespace))
    page.get_by_label(f"All about {name}").click()
    expect(page.get_by_text("None of late.")).to_be_visible()
    picture = page.get_by_role("img", name="The way of packets")
    expect(picture).to_contain_text("refused")
    assert faults_of(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    expect(picture.get_by_text("Who calls")).to_be_hidden()
    assert (picture.bounding_box() or {"width": 0.0})["width"] < 390
    page.get_by_text("In words").click()
    expect(page.get_by_text("was not asked").last).to_be_visible()
    assert faults_of(page) == []
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Edit").click()
    expect(page.locator(".cm-content")).to_contain_text(name)
    page.get_by_text("Floating addresses, VPCs").click()
    assert faults_of(page) == []
    # What is left of a screen at 200 %, and a phone.
    for width, height in ((640, 450), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert faults_of(page) == []
        fits(page)
    page.get_by_role("link", name="Back to the servers").click()
    expect(page.get_by_label(f"All about {name}")).to_be_visible()
    fits(page)


def test_what_was_typed_outlives_reload_and_sign_in(
    page: Page, console: RunningConsole, control_plane: ControlPlane, server: Server, user_of: UserOf
) -> None:
    user = user_of("edit")
    page.goto(console.link_of(user))
    page.get_by_role("link", name="New server").click()
    page.get_by_label("Name", exact=True).fill("begun")
    page.get_by_role("switch", name="LoadBalancer IP").check()
    with page.expect_response(lambda answer: answer.url.endswith("/drafts/new") and answer.request.method == "PUT"):
        pass
    page.reload()
    expect(page.get_by_text("This is what you had begun.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("begun")
    page.get_by_role("switch", name="LoadBalancer IP").uncheck()
    expect(page.get_by_text("Public. 22/TCP.")).to_be_visible()
    # The session ends behind the page's back: the text stays, and the page says what to do.
    page.context.clear_cookies()
    page.get_by_label("Region").fill("north")
    expect(page.get_by_text("You are not signed in any more.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("begun")
    page.goto(console.link_of(user))
    page.get_by_role("link", name="New server").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("begun")
    page.get_by_text("This is what you had begun.").get_by_role("button", name="Reset").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("my-server")
    stored = page.evaluate("[localStorage.length, sessionStorage.length]")
    assert stored == [0, 0]
    # Nobody else is given it.
    page.goto(console.link(control_plane.kubeconfig))
    page.get_by_role("link", name="New server").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("my-server")


def test_the_editor_knows_the_fields_and_marks_what_is_none(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="New server").click()
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_text("public", exact=True).click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("dnsP")
    page.locator(".cm-tooltip").get_by_role("option", name="dnsPolicy").click()
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip").get_by_role("option", name="Default", exact=True).click()
    page.keyboard.press("Enter")
    expect(page.get_by_label("DNS policy")).to_have_value("Default")
    page.keyboard.type("oh: 1")
    expect(page.get_by_text("There is no such field.").first).to_be_visible()
    expect(page.locator(".cm-lint-marker-error")).to_be_visible()


def test_columns_are_chosen_and_a_paused_server_goes_on(signed_in: Page, server: Server) -> None:
    page = signed_in
    server.create(a_server(server, "still"))
    began = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=27, minutes=1)).isoformat()
    conditions = [
        {"type": "VirtualServerStarted", "status": "True", "lastTransitionTime": began},
        {"type": "Ready", "status": "False", "reason": "Pending", "message": "the machine is paused"},
    ]
    server.patch("still", {"status": {"conditions": conditions}}, subresource="/status")
    row = page.get_by_role("row").filter(has_text="still")
    expect(row).to_contain_text("Paused")
    expect(row).to_contain_text("1 d 3 h")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Runs for").uncheck()
    expect(row).not_to_contain_text("1 d 3 h")
    assert faults_of(page) == []
    page.keyboard.press("Escape")
    with page.expect_request(lambda request: request.method == "PUT") as asked:
        row.get_by_role("button", name="Go on").click()
    instances = f"/apis/subresources.kubevirt.io/v1/namespaces/{server.namespace}/virtualmachineinstances"
    assert asked.value.url.endswith(f"{instances}/still/unpause")


def test_events_are_there_as_they_happen(signed_in: Page, server: Server) -> None:
    page = signed_in
    # A page whose part cannot be loaded says what to do.
    page.route("**/assets/Events*", lambda route: route.abort())
    page.get_by_role("link", name="Events").click()
    expect(page.get_by_text("This page could not be loaded")).to_be_visible()
    page.unroute("**/assets/Events*")
    page.reload()
    expect(page.get_by_role("heading", name="Events")).to_be_visible()
    event = {
        "metadata": {"name": "late.1", "namespace": server.namespace},
        "involvedObject": {"kind": "VirtualServer", "name": "late", "namespace": server.namespace},
        "reason": "PoolExhausted",
        "message": "the pool has no free address",
        "type": "Warning",
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }
    server.call("POST", f"/api/v1/namespaces/{server.namespace}/events", event)
    row = page.get_by_role("row").filter(has_text="VirtualServer late")
    expect(row).to_contain_text("2026-01-02 03:04:05")
    page.get_by_label("Search what happened").fill("no free")
    expect(row).to_be_visible()
    assert faults_of(page) == []


def test_several_servers_are_asked_at_once(signed_in: Page, server: Server) -> None:
    page = signed_in
    for name in ("one-of-two", "two-of-two"):
        server.create(a_server(server, name))
    page.get_by_label("Search names").fill("of-two")
    page.get_by_label("Choose all that are shown").check()
    expect(page.get_by_text("2 servers chosen")).to_be_visible()
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.url.rpartition("/k8s")[2]) if request.method == "PUT" else None
    )
    page.get_by_role("button", name="Restart").first.click()
    # Nothing runs here that could restart them, and the page says so of each.
    expect(page.get_by_text("Restart: 0 servers asked. Restart one-of-two: ")).to_be_visible()
    machines = f"/apis/subresources.kubevirt.io/v1/namespaces/{server.namespace}/virtualmachines"
    assert [url.rpartition("/k8s")[2] for url in asked] == [
        f"{machines}/{name}/restart" for name in ("one-of-two", "two-of-two")
    ]
    page.get_by_label("Search names").fill("one-of-two")
    expect(page.get_by_text("1 server chosen")).to_be_visible()
    assert faults_of(page) == []


def a_claim(name: str, size: str, annotations: dict[str, str]) -> dict[str, Any]:
    """Return the claim of an image."""
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
        },
    }


def a_copy(name: str, namespace: str, source: str) -> dict[str, Any]:
    """Return a DataVolume that is made from a claim of a namespace."""
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name},
        "spec": {
            "source": {"pvc": {"namespace": namespace, "name": source}},
            "storage": {"resources": {"requests": {"storage": "2Gi"}}},
        },
    }


def test_images_and_disks_that_are_being_made_are_there_as_they_are(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="Images").click()
    expect(page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
    image, namespace = f"debian-{server.namespace}", f"/api/v1/namespaces/{server.namespace}"
    annotations = {"image": "sha256:0011", "alias-of": "vd-images/debian-12"}
    given = {f"virtualservers.coreweave.com/{key}": value for key, value in annotations.items()}
    server.call("POST", f"{namespace}/persistentvolumeclaims", a_claim(image, "2147483648", given))
    row = page.get_by_role("row").filter(has_text=image)
    expect(row).to_contain_text("2Gi")
    expect(row).to_contain_text("another name of vd-images/debian-12")
    volumes = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{server.namespace}/datavolumes"
    server.call("POST", volumes, a_copy("copy", server.namespace, image))
    making = page.get_by_role("row").filter(has_text=f"{server.namespace}/{image}")
    expect(making).to_contain_text("Pending")
    assert faults_of(page) == []
    server.call("DELETE", f"{volumes}/copy")
    server.call("DELETE", f"{namespace}/persistentvolumeclaims/{image}")
    expect(making).to_have_count(0)


def test_an_image_that_is_being_made_and_a_copy_show_how_far_they_are_and_an_abandoned_one_says_so(
    signed_in: Page, server: Server
) -> None:
    page, merge = signed_in, "application/merge-patch+json"
    page.get_by_role("link", name="Images").click()
    image, key = f"making-{server.namespace}", "virtualservers.coreweave.com/image-progress"
    claims = f"/api/v1/namespaces/{server.namespace}/persistentvolumeclaims"
    server.call("POST", claims, a_claim(image, "1Mi", {key: "45% installing"}))
    row, bar = page.get_by_role("row").filter(has_text=image), page.get_by_label(f"How far {image} is")
    expect(row).to_contain_text("45 % installing")
    expect(bar).to_have_attribute("value", "0.45")
    server.call("PATCH", f"{claims}/{image}", {"metadata": {"annotations": {key: "packing"}}}, content_type=merge)
    expect(row).to_contain_text("packing")
    expect(bar).not_to_have_attribute("value", "0.45")
    volumes = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{server.namespace}/datavolumes"
    server.call("POST", volumes, a_copy("copied", server.namespace, "first"))
    for share in ("12.5", "42.5"):
        status = {"phase": "CloneInProgress", "progress": f"{share}%"}
        server.call("PATCH", f"{volumes}/copied/status", {"status": status}, content_type=merge)
        expect(page.get_by_label("How far copied is")).to_have_attribute("value", str(float(share) / 100))
    assert faults_of(page) == []
    told = {
        "type": "virtualservers.coreweave.com/ImageMade",
        "status": "False",
        "reason": "Abandoned",
        "message": "whoever made this image ended before it was done",
    }
    server.call("PATCH", f"{claims}/{image}/status", {"status": {"conditions": [told]}}, content_type=merge)
    server.call("PATCH", f"{claims}/{image}", {"metadata": {"annotations": {key: "abandoned"}}}, content_type=merge)
    expect(row).to_contain_text("Not made. whoever made this image ended before it was done")
    expect(bar).to_have_count(0)
    assert faults_of(page) == []
    server.call("DELETE", f"{volumes}/copied")
    server.call("DELETE", f"{claims}/{image}")
    expect(row).to_have_count(0)


def test_an_address_is_reserved_and_released(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="Addresses").click()
    name = f"kept-{server.namespace}"
    page.get_by_label("Name of a floating address").fill(name)
    page.get_by_role("button", name="Reserve").click()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("floating")
    service = server.call("GET", f"/api/v1/namespaces/default/services/{name}")
    assert service["spec"]["type"] == "LoadBalancer" and "selector" not in service["spec"]
    assert faults_of(page) == []
    row.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog", name=f"Release {name}?")
    expect(dialog).to_contain_text("No server has it.")
    dialog.get_by_role("button", name="Release").click()
    expect(row).to_have_count(0)


def test_a_text_of_several_documents_makes_them_all(signed_in: Page, server: Server) -> None:
    page = signed_in
    text = (Path(__file__).parents[3] / "examples/firewall.yaml").read_text()
    page.get_by_role("link", name="New server").click()
    expect(page.locator(".cm-content")).to_contain_text("kind: VirtualServer")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text.replace("namespace: default", f"namespace: {server.namespace}"))
    expect(page.get_by_text("The text has 3 documents")).to_be_visible()
    expect(page.get_by_text("The API would take this.")).to_be_visible()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("All about inside")).to_be_visible()
    expect(page.get_by_label("All about firewall")).to_be_visible()
    networks = f"/apis/k8s.cni.cncf.io/v1/namespaces/{server.namespace}/network-attachment-definitions"
    assert [one["metadata"]["name"] for one in server.call("GET", networks)["items"]] == ["office"]
