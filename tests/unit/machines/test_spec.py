"""The description of a machine, as it is written before QEMU starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from virtualserver.machines.spec import (
    SPEC_VERSION,
    Disk,
    Kernel,
    MachineSpec,
    Nic,
    SpecError,
    decode_spec,
    encode_spec,
)

PATH = Path("/state/m/one/spec.json")
SPEC = MachineSpec(
    identifier="one",
    name="default/one",
    cpus=2,
    memory_bytes=96 << 20,
    accelerator="tcg",
    user=64_000,
    disks=(Disk(path=Path("/d/root.qcow2"), format="qcow2", name="root", serial="abc", ephemeral=True),),
    nics=(Nic(device="tap0", mac="02:00:00:00:00:01"),),
    kernel=Kernel(Path("/i/kernel"), None, "console=ttyS0"),
    seed=Path("/s/seed.iso"),
    uuid="5d307ca9-b3ef-428c-8861-06e72d69f223",
)


def test_a_description_survives_the_file() -> None:
    assert decode_spec(encode_spec(SPEC), path=PATH) == SPEC


def test_a_description_says_the_version_of_its_format() -> None:
    assert json.loads(encode_spec(SPEC))["formatVersion"] == SPEC_VERSION


def test_a_newer_description_is_refused_with_the_file_and_the_way_out() -> None:
    content = json.dumps({"formatVersion": SPEC_VERSION + 1, "spec": {"words": "of the future"}}).encode()
    with pytest.raises(SpecError, match=r"/state/m/one/spec\.json: formatVersion 2 .* install the newer"):
        decode_spec(content, path=PATH)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"formatVersion": 1, "spec": {"identifier": 7}}'])
def test_a_broken_description_is_refused_with_the_file(content: bytes) -> None:
    with pytest.raises(SpecError, match=r"/state/m/one/spec\.json"):
        decode_spec(content, path=PATH)
