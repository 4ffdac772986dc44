"""The README's tables say what the module's files say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[3] / "tools" / "terraform_docs.py"


def load() -> Any:
    specification = importlib.util.spec_from_file_location("terraform_docs", PROGRAM)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


docs = load()

FILE = """\
# A comment.
variable "needed" {
  type        = string
  description = "What is \\"needed\\": a|b."

  validation {
    condition     = var.needed != ""
    error_message = "type = is no argument of the variable"
  }
}

variable "shaped" {
  type = object({
    name = string
    list = optional(list(string), [])
  })
  default     = null
  sensitive   = true
  description = "A shape."
}

output "result" {
  description = "What comes out."
  value       = var.needed
}
"""


def test_tables_name_types_defaults_and_descriptions(tmp_path: Path) -> None:
    (tmp_path / "all.tf").write_text(FILE)
    made = docs.tables([tmp_path / "all.tf"])
    assert made["inputs"].splitlines()[2:] == [
        '| `needed` | `string` | required | What is "needed": a\\|b. |',
        "| `shaped` | `object({ name = string, list = optional(list(string), []) })` | `null` | A shape. Sensitive. |",
    ]
    assert made["outputs"].splitlines()[2:] == ["| `result` | What comes out. |"]


def test_a_variable_without_a_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.tf").write_text('variable "bare" {\n  type = string\n}\n')
    with pytest.raises(ValueError, match="variable bare has no description"):
        docs.tables([tmp_path / "all.tf"])


def test_the_committed_readme_is_current() -> None:
    files = [*sorted(docs.MODULE.glob("variables*.tf")), docs.MODULE / "outputs.tf"]
    readme = docs.README.read_text()
    assert docs.filled(readme, docs.tables(files)) == readme


def test_a_readme_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the inputs"):
        docs.filled("# Nothing", {"inputs": "|"})
