"""A stand-in for the provider ``hashicorp/kubernetes`` where none answers: it knows the schema, and no more.

``python terraform_standin.py`` prints one line for the environment variable ``TF_REATTACH_PROVIDERS`` and serves until
it is ended. Terraform can then initialise, validate, and run tests with a mocked provider; whatever would talk to a
cluster fails with "unimplemented". The schema beside this file is a part of what the real provider prints
(``terraform providers schema -json``); a test compares the two where the real one is there.

Source: Terraform's plugin protocol 6, ``tfplugin6.proto``; its few messages are encoded by hand.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ADDRESS", "SCHEMA", "schema_response"]

ADDRESS: Final = "registry.terraform.io/hashicorp/kubernetes"
SCHEMA: Final = Path(__file__).with_name("terraform_schema.json")

_SERVICE: Final = "tfplugin6.Provider"
_ANSWERED_EMPTY: Final = (
    "ValidateProviderConfig",
    "ValidateResourceConfig",
    "ValidateDataResourceConfig",
    "ConfigureProvider",
    "StopProvider",
)
_ATTRIBUTE: Final = {"required": 4, "optional": 5, "computed": 6, "sensitive": 7, "deprecated": 9, "write_only": 11}
_NESTING: Final = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}


def _varint(value: int) -> bytes:
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def _field(number: int, value: bytes | str | int) -> bytes:
    """Return one field of a message; zero and empty are left out, as the format wants it."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value) if value else b""
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _attribute(name: str, attribute: Mapping[str, Any]) -> bytes:
    flags = (_field(number, int(attribute.get(flag, False))) for flag, number in _ATTRIBUTE.items())
    return _field(1, name) + _field(2, json.dumps(attribute["type"])) + b"".join(flags)


def _block(block: Mapping[str, Any]) -> bytes:
    attributes = (_field(2, _attribute(name, one)) for name, one in block.get("attributes", {}).items())
    nested = (_field(3, _nested(name, one)) for name, one in block.get("block_types", {}).items())
    return b"".join([*attributes, *nested])


def _nested(name: str, block: Mapping[str, Any]) -> bytes:
    limits = _field(4, block.get("min_items", 0)) + _field(5, block.get("max_items", 0))
    return _field(1, name) + _field(2, _block(block["block"])) + _field(3, _NESTING[block["nesting_mode"]]) + limits


def _schema(schema: Mapping[str, Any]) -> bytes:
    return _field(1, schema["version"]) + _field(2, _block(schema["block"]))


def _entries(number: int, schemas: Mapping[str, Any]) -> Iterable[bytes]:
    return (_field(number, _field(1, name) + _field(2, _schema(one))) for name, one in schemas.items())


def schema_response(schemas: Mapping[str, Any]) -> bytes:
    """Return the answer to ``GetProviderSchema``.

    Args:
        schemas: One provider's entry of what ``terraform providers schema -json`` prints.
    """
    resources = _entries(2, schemas["resource_schemas"])
    return b"".join([_field(1, _schema(schemas["provider"])), *resources, *_entries(3, schemas["data_source_schemas"])])


def _serve() -> None:
    grpc: Any = importlib.import_module("grpc")
    answers = {
        "GetProviderSchema": schema_response(json.loads(SCHEMA.read_bytes())),
        **dict.fromkeys(_ANSWERED_EMPTY, b""),
    }

    def handler(answer: bytes) -> Any:
        def reply(_request: bytes, _context: Any) -> bytes:
            return answer

        return grpc.unary_unary_rpc_method_handler(reply)

    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {name: handler(answer) for name, answer in answers.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/provider"
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        place = {"Network": "unix", "String": socket}
        entry = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": place}
        print(json.dumps({ADDRESS: entry}), flush=True)
        # Until whoever started this closes its end.
        os.read(0, 1)


if __name__ == "__main__":
    _serve()
