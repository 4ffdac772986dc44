"""The plans of complete manifests, as a reader would have written them, and the status of every situation.

``harness.situations`` says what the files mean. After a change that is meant,
``VS_REFRESH_GOLDEN=1 make unit ARGS=tests/unit/plan/test_golden.py`` writes the outcomes anew; the difference is then
read in the commit.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from harness import situations
from harness.situations import GOLDEN, TABLE, Example, Manifest
from virtualserver.api import mac, names
from virtualserver.api.virtualserver import VirtualServer, decode
from virtualserver.kube.objects import controller_of
from virtualserver.kube.patch import merge_patch
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.floating import FloatingService
from virtualserver.plan.objects.table import KINDS
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from virtualserver.plan.outcome import Apply, Plan

SITE = Site(pools=frozenset({"public", "private", "public-ord1"}))
FOLDERS = situations.folders()


def observed(server: VirtualServer, found: dict[str, Manifest]) -> tuple[Children, Surroundings]:
    """Sort what exists: objects of the server's names; images; Secrets; another VirtualServer with the same MAC."""
    own = {name for kind in KINDS for name in kind.names(server.name)}
    children = Children.of(
        item
        for item in found.values()
        if item["kind"] == "EndpointSlice" or (item["kind"] != names.KIND and item["metadata"]["name"] in own)
    )
    others = [item for item in found.values() if item not in children.objects.values()]
    of_kind = {item["kind"]: [one["metadata"] for one in others if one["kind"] == item["kind"]] for item in others}
    images = of_kind.get("PersistentVolumeClaim", [])
    rivals = of_kind.get(names.KIND, [])
    return children, Surroundings(
        secrets={item["metadata"]["name"]: item for item in others if item["kind"] == "Secret"},
        source=found.get("PersistentVolumeClaim debian-12"),
        images=tuple(sorted(f"{image['namespace']}/{image['name']}" for image in images)),
        derived_mac=mac.unkeyed(f"{server.namespace}/{server.name}"),
        vpc_macs={
            vpc.name: mac.unkeyed(f"{server.namespace}/{server.name}/{vpc.name}") for vpc in server.spec.network.vpcs
        },
        mac_holder=next(((rival["namespace"], rival["name"]) for rival in rivals), None),
        floating=floating(server, found),
        holders={
            ingress["ip"]: item["metadata"]["name"]
            for item in found.values()
            if item["kind"] == "Service"
            for ingress in item.get("status", {}).get("loadBalancer", {}).get("ingress", ())
        },
    )


def floating(server: VirtualServer, found: dict[str, Manifest]) -> dict[str, FloatingService]:
    """Return what there is of each Service; whoever is named as a controller lives."""

    def server_of(item: Manifest | None) -> str | None:
        controller = controller_of(item) if item else None
        return controller["name"] if controller and controller["kind"] == names.KIND else None

    services = {item["metadata"]["name"]: item for item in found.values() if item["kind"] == "Service"}
    claims = {name: found.get(f"EndpointSlice {name}-floating") for name in services}
    return {
        name: FloatingService(item, claims[name], server_of(claims[name]), server_of(item))
        for name, item in services.items()
    }


def the_plan(example: Example) -> Plan:
    server = decode(example.server)
    return planning.plan(server, *observed(server, example.found), SITE)


def _whole(apply: Apply) -> Manifest:
    """Return an object as it is written, with the fields that are locked."""
    result = dict(apply.manifest)
    for key, value in apply.locked.items():
        result[key] = {**value, **result[key]} if key in result else value
    return result


def outcome(plan: Plan) -> tuple[dict[str, Manifest], str | None]:
    """Return what is applied and removed, by kind and name, and what the Secret holds, None where there is none."""
    documents: list[Manifest] = [_whole(apply) for stage in plan.stages for apply in stage]
    documents += [{"remove": msgspec.to_builtins(removal)} for removal in plan.removals]
    userdata = None
    for document in documents:
        if document.get("kind") == "Secret":
            userdata = base64.b64decode(document["data"]["userdata"]).decode()
            document["data"] = {"userdata": "see userdata.yaml"}
    return situations.keyed(documents), userdata


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _row(name: str, row: Manifest) -> str:
    """Return a row as text: one line a condition, what is small on one line."""
    lines = [f"{name}:"]
    for key, value in row.items():
        is_compact = key not in ("conditions", "shows")
        text = yaml.dump(
            {key: value},
            Dumper=_Dumper,
            sort_keys=False,
            width=116 if is_compact else 10_000,
            allow_unicode=True,
            default_flow_style=None if is_compact and isinstance(value, dict) else False,
        )
        lines += [f"  {line}" for line in text.splitlines()] if value else []
    return "\n".join([*lines, ""])


def _files(plan: Plan) -> dict[str, str | None]:
    """Return the files of a folder that a plan becomes, None for one that is not there."""
    objects, userdata = outcome(plan)
    documents = yaml.dump_all(objects.values(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return {"objects.yaml": documents if objects else None, "userdata.yaml": userdata}


def _difference(known: dict[str, Example], before: str | Manifest, objects: dict[str, Manifest]) -> str | Manifest:
    """Return in what objects differ from those of the folder that a row has named so far."""
    like = before if isinstance(before, str) else before["like"]
    but = merge_patch(known[like].objects if like else {}, objects)
    return {"like": like, "but": but} if but else like


def _write_anew() -> None:
    """Write all outcomes, in the folders and in the table."""
    known = situations.examples()
    for name in FOLDERS:
        for file, text in _files(the_plan(known[name])).items():
            (GOLDEN / name / file).unlink(missing_ok=True)
            if text is not None:
                (GOLDEN / name / file).write_text(text)
    known, rows = situations.examples(), situations.table()
    for name, row in rows.items():
        plan = the_plan(known[name])
        network: dict[str, Any] = msgspec.to_builtins(plan.status.network)
        row["addresses"] = {field: value for field, value in network.items() if value}
        row["conditions"] = {
            item.type: f"{item.status} {item.reason} {item.message}" for item in plan.status.conditions
        }
        if "from" in row:
            row["objects"] = _difference(known, row.get("objects", ""), outcome(plan)[0])
    head, _, _ = TABLE.read_text().partition("\n\n")
    TABLE.write_text("\n".join([f"{head}\n", *(_row(name, row) for name, row in rows.items())]))


if os.environ.get("VS_REFRESH_GOLDEN"):
    _write_anew()
EXAMPLES = situations.examples()


@pytest.mark.parametrize("name", FOLDERS)
def test_the_plan_is_what_a_reader_would_write(name: str) -> None:
    for file, text in _files(the_plan(EXAMPLES[name])).items():
        path = GOLDEN / name / file
        expected = path.read_text() if path.exists() else None
        assert text == expected, f"{name}/{file}: if this is meant, see this module's docstring"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_situation_has_its_status_and_its_objects(name: str) -> None:
    example = EXAMPLES[name]
    plan = the_plan(example)
    objects, userdata = outcome(plan)
    metadata = example.server["metadata"]
    conditions = tuple(
        dict(zip(("type", "status", "reason", "message"), (type_, *line.split(" ", 2)), strict=True))
        for type_, line in example.conditions.items()
    )
    revision = metadata.get("annotations", {}).get(names.REVISION)
    assert msgspec.to_builtins(plan.status) == {
        **({"observedRevision": revision} if revision else {}),
        "network": example.network,
        "conditions": tuple({**condition, "observedGeneration": metadata["generation"]} for condition in conditions),
    }
    assert list(objects.items()) == list(example.objects.items())
    if userdata is not None:
        assert userdata == example.userdata


def test_every_situation_says_what_it_shows() -> None:
    assert not set(FOLDERS) - set(EXAMPLES)
    for name, example in EXAMPLES.items():
        assert example.shows, name
    for name in FOLDERS:
        assert (GOLDEN / name / "virtualserver.yaml").read_text().startswith("# "), name


def test_a_derived_mac_address_in_a_golden_file_is_the_one_of_its_server() -> None:
    machine = EXAMPLES["public-ports"].objects["VirtualMachine web"]
    interface = machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"][0]
    assert interface["macAddress"] == mac.unkeyed("default/web")
