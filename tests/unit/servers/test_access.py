"""Which kubeconfig counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from virtualserver.servers.access import ApiAccess
from virtualserver.servers.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path


def a_kubeconfig(path: Path) -> Path:
    """Write a kubeconfig whose server and namespace are named after the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    context = {"cluster": "c", "namespace": f"of-{path.name}"}
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://{path.name}"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def find(
    folder: Path,
    *,
    kubeconfig: Path | None = None,
    namespace: str | None = None,
    is_chosen: bool = False,
    **variables: str,
) -> ApiAccess:
    return ApiAccess.find(
        kubeconfig=kubeconfig,
        namespace=namespace,
        instance=folder / "instance",
        is_chosen=is_chosen,
        environment={"HOME": str(folder / "home"), **variables},
    )


def test_the_nearest_kubeconfig_counts(tmp_path: Path) -> None:
    a_kubeconfig(tmp_path / "home/.kube/config")
    assert find(tmp_path).namespace == "of-config"
    a_kubeconfig(tmp_path / "instance")
    assert find(tmp_path).namespace == "of-instance"
    named = str(a_kubeconfig(tmp_path / "named"))
    assert find(tmp_path, KUBECONFIG=named).namespace == "of-named"
    given = a_kubeconfig(tmp_path / "given")
    assert find(tmp_path, KUBECONFIG=named, kubeconfig=given).credentials.server == "http://given"
    assert find(tmp_path, KUBECONFIG=named, is_chosen=True).namespace == "of-instance"
    assert find(tmp_path, namespace="other").namespace == "other"


def test_no_kubeconfig_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="there is no kubeconfig") as failure:
        find(tmp_path)
    assert "--kubeconfig" in failure.value.remedy
    with pytest.raises(ServerError, match="cannot be read"):
        find(tmp_path, KUBECONFIG=str(tmp_path / "nothing"))


def test_several_files_are_not_guessed_between(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="names 2 files"):
        find(tmp_path, KUBECONFIG="/one:/two")


async def test_a_token_that_cannot_be_read_is_said_with_what_to_do(tmp_path: Path) -> None:
    document = yaml.safe_load(a_kubeconfig(tmp_path / "own").read_text())
    document["contexts"][0]["context"]["user"] = "u"
    document["users"] = [{"name": "u", "user": {"tokenFile": "token"}}]
    (tmp_path / "own").write_text(yaml.safe_dump(document))
    access = find(tmp_path, kubeconfig=tmp_path / "own")
    with pytest.raises(ServerError, match=rf"{tmp_path}/token: .*No such file") as failure:
        async with access.client() as client:
            await access.names(client)
    assert failure.value.remedy.startswith(f"Mend {tmp_path}/own. ")
