from __future__ import annotations

import email
import re
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml
from passlib.handlers.sha2_crypt import sha512_crypt

from harness.virtualservers import a_machine, a_secret, a_server, an_image
from virtualserver.api import names
from virtualserver.api.conditions import ConditionType
from virtualserver.api.reasons import Reason
from virtualserver.plan import cloud_config_keys, cloud_config_modules, passwords, planning
from virtualserver.plan.children import Children
from virtualserver.plan.sites.site import Site
from virtualserver.plan.situation import Surroundings
from virtualserver.plan.user_data import UserData, passwords_of, user_data_of

if TYPE_CHECKING:
    from virtualserver.api.faults import Fault


def config(secrets: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    text = user_data_of(a_server(**spec), secrets or {}).text
    assert text is not None and text.startswith("#cloud-config\n")
    return yaml.safe_load(text)


def test_a_password_is_hashed_and_never_plain() -> None:
    text = user_data_of(a_server(users=[{"username": "alice", "password": "geheim"}]), {}).text
    assert text is not None and "geheim" not in text
    entry = yaml.safe_load(text)["users"][0]
    verify: Any = sha512_crypt
    assert verify.verify("geheim", entry["passwd"]) and entry["lock_passwd"] is False


def test_the_same_password_has_another_hash_for_another_user() -> None:
    users = [{"username": "alice", "password": "same"}, {"username": "bob", "password": "same"}]
    first, second = config(users=users)["users"]
    assert first["passwd"] != second["passwd"]


def test_a_user_without_a_password_cannot_log_in_with_one() -> None:
    made = config(users=[{"username": "alice", "sshpublickey": "ssh-ed25519 A"}])
    assert "passwd" not in made["users"][0] and "ssh_pwauth" not in made


@pytest.mark.parametrize(("password", "words"), [("one\0two", "NUL character"), ("ö" * 256, "longer than 511 bytes")])
def test_a_password_that_cannot_be_hashed_is_refused_with_its_field_and_not_shown(password: str, words: str) -> None:
    users = [{"username": "alice", "password": password}, {"username": "bob", "passwordSecretRef": {"name": "bob"}}]
    found = user_data_of(a_server(users=users), {"bob": a_secret("bob", password=password)})
    assert found.text is None and not found.bad_cloud_init
    paths = ("spec.users[0].password", "spec.users[1].passwordSecretRef")
    for fault, path in zip(found.bad_passwords, paths, strict=True):
        assert fault.path == path and words in fault.message and password not in fault.message


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: " + "[" * 200 + "]" * 200, "a:\n " + "- " * 200 + "b"])
def test_what_is_nested_too_deeply_is_refused_and_ends_nothing_else(text: str) -> None:
    (fault,) = user_data_of(a_server(cloudInit=text), {}).bad_cloud_init
    assert re.fullmatch(
        r"spec.cloudInit: is nested deeper than 100 levels in line \d+, column \d+: write it flatter", str(fault)
    )
    deep = {"deep": a_secret("deep", userdata=text)}
    (fault,) = user_data_of(a_server(cloudInitSecretRef={"name": "deep"}), deep).bad_cloud_init
    assert fault.path == "spec.cloudInitSecretRef"


def test_what_is_nested_a_little_is_merged() -> None:
    assert user_data_of(a_server(cloudInit="a: " + "[" * 90 + "]" * 90), {}).text
    assert config(cloudInit="a: [[[b]]]")["a"] == [[["b"]]]


def test_fault_20_keys_that_cloud_init_does_not_know_are_named() -> None:
    text = "set_timezone: Europe/Berlin\nruncmd: []\nx-mine: &a [b]\npackges: *a\n1: 2\n"
    (fault,) = user_data_of(a_server(cloudInit=text), {}).remarks
    assert str(fault) == (
        "spec.cloudInit: cloud-init knows no key 'set_timezone' (did you mean timezone?), "
        "'packges' (did you mean packages?), '1': it has no effect"
    )
    secrets = {"setup": a_secret("setup", userdata="geheim: 1")}
    (fault,) = user_data_of(a_server(cloudInitSecretRef={"name": "setup"}), secrets).remarks
    assert fault.path == "spec.cloudInitSecretRef" and "geheim" not in fault.message
    assert user_data_of(a_server(cloudInit=text, os={"type": "windows"}), {}).remarks == ()


def test_fault_20_what_the_image_has_no_module_for_is_named() -> None:
    modules = frozenset({"runcmd", "users-groups"})
    server = a_server(
        cloudInit="runcmd: []\nkeyboard: {layout: de}\nntp: {}\nmerge_how: []", users=[{"username": "ada"}]
    )
    (fault,) = user_data_of(server, {}, modules=modules).remarks
    assert str(fault) == (
        "spec.cloudInit: has keyboard, ntp, for which the image's cloud-init has no module: it has no effect"
    )
    (users, *_) = user_data_of(server, {}, modules=frozenset()).remarks
    assert str(users) == "spec.users: the image's cloud-init makes no users: take another image"
    secrets = {"setup": a_secret("setup", userdata="keyboard: {layout: geheim}")}
    (fault,) = user_data_of(a_server(cloudInitSecretRef={"name": "setup"}), secrets, modules=modules).remarks
    assert fault.message.startswith("the key userdata of Secret setup has 1 key, ")
    script = a_server(cloudInit="#!/bin/sh\n")
    assert user_data_of(script, {}, modules=modules).remarks == user_data_of(server, {}).remarks == ()


def test_fault_20_an_image_says_by_an_annotation_which_modules_it_has() -> None:
    image = an_image()
    assert cloud_config_modules.modules_of(None) is cloud_config_modules.modules_of(image) is None
    image["metadata"]["annotations"][names.CLOUD_INIT_MODULES] = "runcmd"
    server = a_server(cloudInit="keyboard: {layout: de}")
    told = planning.plan(server, Children.of([]), Surroundings(source=image), Site()).status
    condition = told.condition(ConditionType.FULLY_APPLIED)
    assert condition and "has keyboard, for which the image's cloud-init has no module" in condition.message
    assert set(" ".join(cloud_config_modules.MODULES.values()).split()) <= cloud_config_keys.KNOWN


def test_fault_21_an_impossible_user_is_doubted_and_locks_nobody_out() -> None:
    users = [{"username": name} for name in ("backup", "a b", "operator", "ada")]
    found = user_data_of(a_server(users=users), {})
    assert [fault.path for fault in found.doubtful] == ["spec.users[0].username", "spec.users[1].username"]
    assert "'a b' is no name that an account can have" in found.doubtful[1].message
    made = {user["name"]: user for user in yaml.safe_load(found.text or "")["users"]}
    assert list(made) == ["operator", "ada", "backup", "a b"], "what fails comes last"
    assert (made["operator"]["primary_group"], made["operator"]["groups"]) == ("operator", ["operator"])
    assert "primary_group" not in made["ada"]


def test_fault_21_a_windows_guest_has_other_names() -> None:
    server = a_server(users=[{"username": "Ada Lovelace"}], os={"type": "windows"})
    assert user_data_of(server, {}).doubtful == ()


def test_entries_of_one_name_are_one_user_with_all_their_keys() -> None:
    """cloud-init takes the first entry of a name and passes over the second without a word: its key was lost."""
    users = [
        {"username": "ada", "sshpublickey": "ssh-ed25519 OLD"},
        {"username": "bob", "sshpublickey": "ssh-ed25519 BOB"},
        {"username": "ada", "sshpublickey": "ssh-ed25519 OLD\nssh-ed25519 NEW", "password": "geheim"},
        {"username": "ada", "sshPublicKeysSecretRef": {"name": "ada"}, "password": "geheim"},
    ]
    server, secrets = a_server(users=users), {"ada": a_secret("ada", authorized_keys="ssh-ed25519 THIRD")}
    found = user_data_of(server, secrets)
    ada, bob = yaml.safe_load(found.text or "")["users"]
    assert (ada["name"], bob["name"], bob["ssh_authorized_keys"]) == ("ada", "bob", ["ssh-ed25519 BOB"])
    assert ada["ssh_authorized_keys"] == ["ssh-ed25519 OLD", "ssh-ed25519 NEW", "ssh-ed25519 THIRD"]
    (password,) = passwords_of(server, secrets)
    assert ada["passwd"] == passwords.hashed(password) and ada["lock_passwd"] is False
    assert found.doubtful == ()


def test_two_passwords_of_one_name_are_doubted_and_not_shown() -> None:
    users: list[dict[str, Any]] = [
        {"username": "ada"},
        {"username": "ada", "password": "first"},
        {"username": "ada", "password": "second"},
        {"username": "ada", "passwordSecretRef": {"name": "ada"}},
        {"username": "bob", "password": "third"},
    ]
    server, secrets = a_server(users=users), {"ada": a_secret("ada", password="fourth")}
    found = user_data_of(server, secrets)
    assert [str(fault) for fault in found.doubtful] == [
        f"spec.users[{place}: 'ada' has another password in spec.users[1], which counts: remove one of them"
        for place in ("2].password", "3].passwordSecretRef")
    ]
    assert [one.password for one in passwords_of(server, secrets)] == ["first", "third"]


@pytest.mark.parametrize("has_machine", [False, True])
def test_a_second_password_is_refused_of_a_new_server_and_named_of_one_that_is_there(has_machine: bool) -> None:
    users = [{"username": "ada", "password": "one"}, {"username": "ada", "password": "two"}]
    children = Children.of([a_machine()] if has_machine else [])
    status = planning.plan(a_server(users=users), children, Surroundings(source=an_image()), Site()).status
    ready, applied = (status.condition(type_) for type_ in (ConditionType.READY, ConditionType.FULLY_APPLIED))
    assert ready and (ready.reason == Reason.INVALID_SPEC) is not has_machine
    assert applied and "spec.users[1].password: 'ada' has another password" in applied.message


def test_fault_22_what_editors_add_to_a_password_is_no_part_of_it() -> None:
    users = [{"username": "bob", "passwordSecretRef": {"name": "bob"}}]
    (found,) = passwords_of(a_server(users=users), {"bob": a_secret("bob", password="\ufeffgeheim \r\n")})
    assert found.password == "geheim "


def test_fault_22_what_is_no_public_key_is_named_and_a_private_one_doubted() -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nZ2VoZWlt\n-----END OPENSSH PRIVATE KEY-----\n"
    users = [{"username": "ada", "sshpublickey": "hello", "sshPublicKeysSecretRef": {"name": "ada"}}]
    found = user_data_of(a_server(users=users), {"ada": a_secret("ada", authorized_keys=private)})
    assert [str(fault).partition(":")[0] for fault in found.remarks] == ["spec.users[0].sshpublickey"]
    (fault,) = found.doubtful
    assert fault.path == "spec.users[0].sshPublicKeysSecretRef"
    assert fault.message.startswith("the key authorized_keys of Secret ada: line 1 begins what is a private key")
    assert found.text is not None and "Z2Vo" not in found.text


def faults_of(found: UserData) -> tuple[Fault, ...]:
    return (*found.doubtful, *found.bad_cloud_init)


def parts_of(found: UserData) -> list[tuple[str, str]]:
    """Return the parts of user data that are a MIME message, each as its type and what it says."""
    assert found.text is not None and not faults_of(found)
    parts = [part for part in email.message_from_string(found.text).walk() if not part.is_multipart()]
    assert all(isinstance(part.get_payload(decode=True), bytes) for part in parts)
    return [(part.get_content_type(), cast("bytes", part.get_payload(decode=True)).decode()) for part in parts]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("#!/bin/sh\necho: value", "text/x-shellscript"),
        ("\ufeff\n#!/bin/sh\nécho", "text/x-shellscript"),
        ("## template: jinja\n#cloud-config\nhostname: x{{ v1.region }}", "text/jinja2"),
        ("#include https://192.0.2.1/x", "text/x-include-url"),
        ("#include-once\nhttps://192.0.2.1/x", "text/x-include-once-url"),
        ("#cloud-boothook\nkey: value", "text/cloud-boothook"),
        ("#Part-Handler\nkey: value", "text/part-handler"),
        ("#cloud-config-archive\n- {type: text/x-shellscript, content: 1}", "text/cloud-config-archive"),
        ("Content-Type: text/x-shellscript\n\n#!/bin/sh\n", "text/x-shellscript"),
        (
            'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n'
            "Content-Type: text/x-shellscript\n\n#!/bin/sh\n--b--\n",
            "text/x-shellscript",
        ),
    ],
)
def test_fault_18_other_formats_travel_beside_the_users(text: str, kind: str) -> None:
    users = [{"username": "ada"}]
    found = user_data_of(a_server(cloudInit=text, users=users), {})
    (other, told), (own, config) = parts_of(found)
    assert (other, own) == (kind, "text/cloud-config")
    assert told.strip() == text.lstrip("\ufeff\n").rpartition("\n\n")[2].partition("\n--b--")[0].strip()
    assert yaml.safe_load(config)["users"][0]["name"] == "ada"
    assert user_data_of(a_server(cloudInit=text, users=users), {}) == found, "the same text in each pass"
    # Of both sources, one may be a cloud-config and one not.
    server = a_server(cloudInit="packages: [é]", cloudInitSecretRef={"name": "setup"}, users=users)
    *_, (_, config) = parts_of(user_data_of(server, {"setup": a_secret("setup", userdata=text)}))
    assert yaml.safe_load(config)["packages"] == ["é"]


def test_what_an_editor_puts_before_the_first_line_does_not_hide_it() -> None:
    """hetznercloud/cli#511: PowerShell's byte order mark, and all of the cloud-config was passed over."""
    text = user_data_of(a_server(cloudInit="\ufeff#cloud-config\r\npackages: [nginx]\r\n"), {}).text
    assert text is not None and text.startswith("#cloud-config\n")
    assert yaml.safe_load(text)["packages"] == ["nginx"]


def test_the_first_line_is_there_whatever_users_and_keys_are_added() -> None:
    """harvester/harvester#8230: an added ssh key took ``#cloud-config`` away, and with it all effect."""
    key = {"username": "ada", "sshpublickey": "ssh-ed25519 A"}
    for users in ([], [key], [key, {"username": "bob"}]):
        text = user_data_of(a_server(cloudInit="# mine\npackages: [nginx]", users=users), {}).text
        assert text is not None and text.startswith("#cloud-config\n")


def test_what_is_longer_than_a_field_of_the_machine_may_be_goes_by_a_secret() -> None:
    """harvester/harvester#760: user data of more than 2,048 bytes were refused."""
    server = a_server(cloudInit=f"runcmd: [[echo, {'x' * 200_000}]]")
    plan = planning.plan(server, Children.of([]), Surroundings(source=an_image()), Site())
    made = {apply.manifest["kind"]: apply.manifest for stage in plan.stages for apply in stage}
    (seed,) = [
        one for one in made["VirtualMachine"]["spec"]["template"]["spec"]["volumes"] if "cloudInitNoCloud" in one
    ]
    assert seed["cloudInitNoCloud"]["secretRef"] == {"name": "web-cloud-init"}
    assert len(made["Secret"]["data"]["userdata"]) > 200_000


def test_fault_18_a_windows_guest_has_its_own_scripts() -> None:
    windows = a_server(cloudInit="#ps1\nWrite-Host", os={"type": "windows"})
    assert parts_of(user_data_of(windows, {}))[0] == ("text/x-shellscript", "#ps1\nWrite-Host")
    (fault,) = faults_of(user_data_of(a_server(cloudInit="#include x", os={"type": "windows"}), {}))
    assert "which a Windows guest's cloudbase-init does not read" in fault.message


@pytest.mark.parametrize(
    ("file", "is_deferred"),
    [
        ({"path": "/srv/a", "owner": "ada:ada"}, True),
        ({"path": "/srv/a", "owner": "root:web"}, True),
        ({"path": "/srv/a", "owner": "bob"}, True),
        ({"path": "/home/ada/.bashrc"}, True),
        ({"path": "/srv/a", "owner": "root:root"}, False),
        ({"path": "/home/other/.bashrc"}, False),
        ({"path": "/home/ada"}, False),
        ({"path": "/srv/a"}, False),
        ({"path": "/srv/a", "owner": "ada", "defer": False}, False),
    ],
)
def test_fault_19_a_file_waits_for_the_user_whose_it_is(file: dict[str, Any], is_deferred: bool) -> None:
    """canonical/cloud-init#2573: of a group that is made, too; the file was not written, nor those after it."""
    text = yaml.safe_dump({"write_files": [file], "groups": ["bob", {"web": ["ada"]}]})
    (told,) = config(cloudInit=text, users=[{"username": "ada"}])["write_files"]
    assert told == ({**file, "defer": True} if is_deferred else file)


def test_fault_19_the_users_of_an_image_are_waited_for_where_no_other_is_made() -> None:
    text = "write_files: [{path: /srv/a, owner: 'ubuntu:ubuntu'}, odd]"
    assert config(cloudInit=text)["write_files"] == [{"path": "/srv/a", "owner": "ubuntu:ubuntu", "defer": True}, "odd"]
    assert "defer" not in config(cloudInit=text, users=[{"username": "ada"}])["write_files"][0]
    (told,) = config(cloudInit="user: {name: eve}\nwrite_files: [{path: /srv/a, owner: eve}]")["write_files"]
    assert told["defer"] is True


def test_without_users_the_images_own_user_stays() -> None:
    assert "users" not in config()


def test_keys_of_both_fields_are_joined_without_repeats() -> None:
    user = {"username": "bob", "sshpublickey": "ssh-ed25519 A", "sshPublicKeysSecretRef": {"name": "bob", "key": "k"}}
    secrets = {"bob": a_secret("bob", k="# work\nssh-ed25519 B\n\nssh-ed25519 A\n")}
    assert config(secrets, users=[user])["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 A", "ssh-ed25519 B"]


@pytest.mark.parametrize("text", ["- a", "a: [", "a: 2020-99-99", "a: !!python/object:os.system {}", "[" * 5000])
def test_cloud_init_that_cannot_be_merged_is_refused_with_its_field(text: str) -> None:
    found = user_data_of(a_server(cloudInit=text), {})
    assert found.text is None
    assert [fault.path for fault in found.bad_cloud_init] == ["spec.cloudInit"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "#ps1\nkey: value",
            "is a PowerShell script, as its first line says, which a Linux guest's cloud-init does not",
        ),
        ("#upstart-job\nkey: value", "is an Upstart job"),
        ("#cloud-config-jsonp\n- {op: add}", "is a JSON patch"),
        ("Content-Type: multipart/mixed; boundary=x\n\nkey: value", "whose parts are not told apart"),
        ('{"ignition": {"version": "3.3.0"}}', "is a configuration of Ignition"),
        ("# one\n# two\n", "holds comments only"),
        ("runcmd: [a]\npackages: []\nruncmd: [b]\n", "has the key 'runcmd' twice, in lines 1 and 3"),
        ("write_files:\n- path: a\n  path: b\n", "has the key 'path' twice, in lines 2 and 3"),
    ],
)
def test_fault_18_what_would_be_lost_is_named(text: str, words: str) -> None:
    """A key that is there twice: canonical/lxd#13853."""
    (fault,) = faults_of(user_data_of(a_server(cloudInit=text), {}))
    assert fault.path == "spec.cloudInit" and words in fault.message
    secrets = {"setup": a_secret("setup", userdata=text)}
    (fault,) = faults_of(user_data_of(a_server(cloudInitSecretRef={"name": "setup"}), secrets))
    assert fault.message.startswith("the key userdata of Secret setup ") and "runcmd'" not in fault.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#cloud-config\n",
        "#cloud-config\n# runcmd: []\n",
        "a: &a {b: 1}\nc: {<<: *a, <<: *a}\nd: {b: 1}",
        "# x\na: 1",
    ],
)
def test_what_means_what_it_says_is_not_doubted(text: str) -> None:
    assert user_data_of(a_server(cloudInit=text), {}).doubtful == ()


def test_what_is_wrong_with_a_secret_is_told_with_its_place_and_without_a_word_of_it() -> None:
    """Fault 13: no value of a Secret is in a message."""
    server = a_server(cloudInitSecretRef={"name": "setup"})
    for text in ("a: !!int geheim", "geheim: [", "&geheim geheim", "a: *geheim", "a: !!geheim b", "- geheim"):
        (fault,) = user_data_of(server, {"setup": a_secret("setup", userdata=text)}).bad_cloud_init
        assert fault.path == "spec.cloudInitSecretRef" and "geheim" not in fault.message
        assert fault.message.startswith("the key userdata of Secret setup ")


def test_one_large_secret_that_all_users_refer_to_is_refused_in_no_time() -> None:
    """Fault 12's kind: 256 users with one Secret of a mebibyte would be 256 MiB of cloud-config."""
    keys = {"keys": a_secret("keys", authorized_keys="ssh-ed25519 A\n" * 74_000)}
    users = [{"username": f"u{number}", "sshPublicKeysSecretRef": {"name": "keys"}} for number in range(256)]
    server = a_server(users=users)
    began = time.process_time()
    (fault,) = user_data_of(server, keys).bad_cloud_init
    assert time.process_time() - began < 1
    assert fault.path == "spec.users[1].sshPublicKeysSecretRef" and "does not fit in a Secret of 1 MiB" in fault.message


def test_passwords_are_hashed_by_whoever_has_the_time_and_planning_finds_them() -> None:
    """Fault 12's kind: 256 passwords take seconds to hash."""
    users = [{"username": "alice", "password": "x" * 511}, {"username": "bob", "passwordSecretRef": {"name": "bob"}}]
    server, secrets = a_server(users=users), {"bob": a_secret("bob", password=f"{time.time()}\n")}
    found = passwords_of(server, secrets)
    assert [(one.username, passwords.is_known(one)) for one in found][1:] == [("bob", False)]
    told = [passwords.hashed(one) for one in found]
    assert all(passwords.is_known(one) for one in found)
    assert [user["passwd"] for user in config(secrets, users=users)["users"]] == told


def test_user_data_that_do_not_fit_in_a_secret_are_refused() -> None:
    keys = "\n".join(f"ssh-ed25519 {number:0200d}" for number in range(2000))
    server = a_server(cloudInit=f"a: {'x' * 800_000}", users=[{"username": "bob", "sshpublickey": keys}])
    (fault,) = user_data_of(server, {}).bad_cloud_init
    assert str(fault).startswith("spec.cloudInit: with the users it does not fit in a Secret of 1 MiB")


def test_every_missing_secret_and_key_is_named_and_nothing_of_their_content() -> None:
    users = [{"username": "bob", "passwordSecretRef": {"name": "bob"}}]
    server = a_server(users=users, cloudInitSecretRef={"name": "setup"})
    messages = user_data_of(server, {"setup": a_secret("setup", other="geheim")}).missing
    assert ["spec.users[0].passwordSecretRef" in messages[0], "spec.cloudInitSecretRef" in messages[1]] == [True, True]
    assert "geheim" not in str(messages)
