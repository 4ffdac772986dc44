"""The module's logic, its examples and its form, without a cluster: on a stand-in that knows the provider's schema."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.terraform_standin import ADDRESS, SCHEMA
from harness.terraform_world import EXAMPLES, MODULE, Terraform, blocks_of_a_lost_answer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)
LOGIC = sorted(path.name for path in (MODULE / "tests").glob("*.tftest.hcl"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the module's folder that Terraform may write to."""
    copy = tmp_path_factory.mktemp("terraform") / "terraform"
    shutil.copytree(MODULE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return copy


@pytest.fixture(scope="module")
def mocked(mocked_provider: dict[str, str], checkout: Path) -> Terraform:
    """Terraform in the module's folder, with the stand-in."""
    terraform = Terraform(checkout, mocked_provider)
    terraform.init()
    return terraform


def assert_all_pass(terraform: Terraform, file: str) -> None:
    said = terraform.run("test", "-no-color", f"-filter=tests/{file}", timeout=800)
    runs = re.findall(r'(?m)^run "', (MODULE / "tests" / file).read_text())
    assert f"{len(runs)} passed, 0 failed." in said, said


@pytest.mark.parametrize("file", LOGIC)
def test_the_logic_of_every_variable(mocked: Terraform, file: str) -> None:
    assert_all_pass(mocked, file)


def test_every_variable_is_in_the_logic_tests() -> None:
    declared = {
        name for path in MODULE.glob("variables*.tf") for name in re.findall(r'(?m)^variable "(\w+)"', path.read_text())
    }
    tested = "".join((MODULE / "tests" / file).read_text() for file in LOGIC)
    assert {name for name in declared if not re.search(rf"\b{name}\b", tested)} == set()


def test_the_real_provider_passes_the_logic_of_waiting(
    real_provider: dict[str, str], tmp_path: Path, checkout: Path
) -> None:
    environment = {**real_provider, "TF_DATA_DIR": str(tmp_path)}
    terraform = Terraform(checkout, environment)
    terraform.init()
    assert_all_pass(terraform, "wait.tftest.hcl")


def test_the_standin_has_the_schema_of_the_real_provider(real_provider: dict[str, str], tmp_path: Path) -> None:
    shutil.copy(MODULE / "versions.tf", tmp_path)
    terraform = Terraform(tmp_path, real_provider)
    terraform.init()
    real = json.loads(terraform.run("providers", "schema", "-json"))["provider_schemas"][ADDRESS]
    ours = json.loads(SCHEMA.read_bytes())
    for kind in ("resource_schemas", "data_source_schemas"):
        for name, schema in ours[kind].items():
            assert schema == without_prose(real[kind][name]), name
    assert ours["provider"] == without_prose(real["provider"])


def without_prose(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    entries = cast("dict[str, Any]", schema).items()
    return {key: without_prose(value) for key, value in entries if key not in ("description", "description_kind")}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid_and_explained(mocked: Terraform, checkout: Path, example: str) -> None:
    folder = checkout / "examples" / example
    assert (folder / "README.md").read_text().startswith("# ")
    terraform = Terraform(folder, mocked.environment)
    terraform.init()
    assert "The configuration is valid" in terraform.run("validate", "-no-color")


def test_the_module_works_with_count_for_each_and_depends_on(mocked: Terraform, checkout: Path, tmp_path: Path) -> None:
    server = f'source = "{checkout}"\n  user_namespace = "default"\n  vs_username = "someone"\n'
    blocks = [
        'resource "terraform_data" "before" {}',
        f'module "counted" {{\n  {server}  count = 2\n  vs_name = "counted-${{count.index}}"\n}}',
        f'module "each" {{\n  {server}  for_each = toset(["a", "b"])\n  vs_name = each.key\n}}',
        f'module "after" {{\n  {server}  depends_on = [terraform_data.before]\n}}',
        'output "addresses" {\n  value = concat(module.counted[*].vs_network, [module.each["a"].vs_network])\n}',
    ]
    (tmp_path / "main.tf").write_text("\n\n".join(blocks))
    terraform = Terraform(tmp_path, mocked.environment)
    terraform.init()
    assert "The configuration is valid" in terraform.run("validate", "-no-color")


def test_fault_28_what_the_page_says_of_a_lost_answer_is_valid(
    mocked: Terraform, checkout: Path, tmp_path: Path
) -> None:
    blocks = blocks_of_a_lost_answer()
    server = f'source = "{checkout}"\n  user_namespace = "default"\n  vs_name = "web"\n  vs_username = "someone"\n'
    (tmp_path / "main.tf").write_text(f'module "server" {{\n  {server}}}\n\n{blocks}')
    terraform = Terraform(tmp_path, mocked.environment)
    terraform.init()
    assert "The configuration is valid" in terraform.run("validate", "-no-color")
    marked = re.search(r'regex\("([^"]+)"', blocks)
    assert (
        marked and re.match(marked[1], "0123456789abcdef-1") and re.match(marked[1], "0123456789abcdef-20261127080000")
    )


def test_the_examples_are_those_that_are_promised() -> None:
    assert set(EXAMPLES) == {"basic", "private", "direct-attach", "headless", "fleet", "floating", "vpc"}


def test_the_basic_example_has_the_variables_as_they_were_printed() -> None:
    printed = (MODULE / "examples" / "basic" / "variables.tf").read_text()
    names = re.findall(r'variable "(\w+)"', printed)
    assert names == ["vs_public_networking", "vs_attach_loadbalancer", "vs_tcp_ports", "vs_udp_ports"]
    assert "default = [22, 443, 60443, 4172, 3389]" in printed


def test_everything_is_formatted(mocked: Terraform) -> None:
    assert mocked.attempt("fmt", "-check", "-recursive", "-no-color").stdout == ""


def test_no_provider_is_configured_inside_the_module() -> None:
    for path in MODULE.glob("*.tf"):
        assert not re.search(r'(?m)^provider "', path.read_text()), f"{path.name}: bars count, for_each and depends_on"


@pytest.mark.parametrize("page", sorted(MODULE.rglob("README.md")), ids=lambda page: page.parent.name)
def test_every_link_of_the_pages_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []
