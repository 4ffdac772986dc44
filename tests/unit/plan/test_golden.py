"""The plans of complete manifests, as a reader would have written them: one folder a case, which is documentation.

``virtualserver.yaml`` and, where something exists already, ``observed.yaml`` are the input. ``objects.yaml`` (in the
order in which they are applied, then what is removed), ``userdata.yaml`` (what the Secret holds) and ``status.yaml``
are the outcome.

After a change that is meant, ``VS_REFRESH_GOLDEN=1 make unit ARGS=tests/unit/plan/test_golden.py`` writes
it anew; the difference is then read in the commit.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from virtualserver.api import mac, names
from virtualserver.api.virtualserver import VirtualServer, decode
from virtualserver.plan import planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings

if TYPE_CHECKING:
    from virtualserver.plan.outcome import Plan

GOLDEN = Path(__file__).parent / "golden"
SITE = Site(pools=frozenset({"public", "private", "public-ord1"}))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _dump(*documents: Any) -> str:
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _merged(manifest: Any, locked: Any) -> dict[str, Any]:
    result = dict(manifest)
    for key, value in locked.items():
        result[key] = {**value, **result[key]} if key in result else value
    return result


def observed(documents: list[Any], server: VirtualServer) -> tuple[Children, Surroundings]:
    """Sort what exists: objects of the server's names; images; Secrets; another VirtualServer with the same MAC."""
    own = {f"{server.name}{suffix}" for suffix in ("", "-tcp", "-udp", "-cloud-init")}
    children = Children.of(
        document for document in documents if document["kind"] != names.KIND and document["metadata"]["name"] in own
    )
    others = [document for document in documents if document not in children.objects.values()]
    by_name = {(document["kind"], document["metadata"]["name"]): document for document in others}
    rival = next((document["metadata"] for kind, document in by_name.items() if kind[0] == names.KIND), None)
    images = [item["metadata"] for (kind, _), item in by_name.items() if kind == "PersistentVolumeClaim"]
    return children, Surroundings(
        secrets={name: document for (kind, name), document in by_name.items() if kind == "Secret"},
        source=by_name.get(("PersistentVolumeClaim", "debian-12")),
        images=tuple(sorted(f"{image['namespace']}/{image['name']}" for image in images)),
        mac_holder=(rival["namespace"], rival["name"]) if rival else None,
    )


def outcome(plan: Plan) -> dict[str, str]:
    """Return the files that a plan becomes."""
    applied = [_merged(apply.manifest, apply.locked) for stage in plan.stages for apply in stage]
    removed = [
        {"remove": {"kind": item.kind, "namespace": item.namespace, "name": item.name, "uid": item.uid}}
        for item in plan.removals
    ]
    files = {"status.yaml": _dump(msgspec.to_builtins(plan.status))}
    for manifest in applied:
        if manifest["kind"] == "Secret":
            files["userdata.yaml"] = base64.b64decode(manifest["data"]["userdata"]).decode()
            manifest["data"] = {"userdata": "see userdata.yaml"}
    if applied or removed:
        files["objects.yaml"] = _dump(*applied, *removed)
    return files


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir() if path.is_dir()))
def test_the_plan_is_what_a_reader_would_write(case: str) -> None:
    folder = GOLDEN / case
    server = decode(yaml.safe_load((folder / "virtualserver.yaml").read_text()))
    existing = folder / "observed.yaml"
    documents = list(yaml.safe_load_all(existing.read_text())) if existing.exists() else []
    files = outcome(planning.plan(server, *observed(documents, server), SITE))
    outputs = ("objects.yaml", "userdata.yaml", "status.yaml")
    if os.environ.get("VS_REFRESH_GOLDEN"):
        for name in outputs:
            (folder / name).unlink(missing_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    expected = {name: (folder / name).read_text() for name in outputs if (folder / name).exists()}
    assert files == expected, f"{case}: if this is meant, see this module's docstring"


def test_every_case_says_in_its_first_line_what_it_shows() -> None:
    for folder in GOLDEN.iterdir():
        assert (folder / "virtualserver.yaml").read_text().startswith("# "), folder.name


def test_a_derived_mac_address_in_a_golden_file_is_the_one_of_its_server() -> None:
    objects = yaml.safe_load_all((GOLDEN / "public-ports" / "objects.yaml").read_text())
    machine = next(item for item in objects if item["kind"] == "VirtualMachine")
    interface = machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"][0]
    assert interface["macAddress"] == mac.derive("default/web")
