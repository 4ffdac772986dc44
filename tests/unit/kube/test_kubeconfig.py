from __future__ import annotations

import base64
import datetime
import ssl
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from virtualserver.kube.kubeconfig import Credentials, KubeconfigError, load_kubeconfig, read_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


def a_certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=36500))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private


CERTIFICATE, KEY = a_certificate()


def a_kubeconfig(folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "elsewhere", "context": {"cluster": "missing"}},
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_certificates_are_read_from_the_file_itself(tmp_path: Path) -> None:
    user = {"client-certificate-data": in_base64(CERTIFICATE), "client-key-data": in_base64(KEY)}
    path = a_kubeconfig(tmp_path, cluster={"certificate-authority-data": in_base64(CERTIFICATE)}, user=user)
    credentials = load_kubeconfig(path)
    assert credentials.server == "https://127.0.0.1:6443"
    assert credentials.namespace == "team"
    assert credentials.authorization() is None
    assert credentials.tls is not None
    assert credentials.tls.verify_mode is ssl.CERT_REQUIRED and credentials.tls.check_hostname
    assert [issuer["subject"] for issuer in credentials.tls.get_ca_certs()] == [((("commonName", "someone"),),)]


def test_certificates_are_read_from_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_bytes(CERTIFICATE)
    (tmp_path / "pki/user.key").write_bytes(KEY)
    user = {"client-certificate": "pki/ca.crt", "client-key": str(tmp_path / "pki/user.key")}
    credentials = load_kubeconfig(a_kubeconfig(tmp_path, cluster={"certificate-authority": "pki/ca.crt"}, user=user))
    assert credentials.tls is not None and len(credentials.tls.get_ca_certs()) == 1


def test_a_key_is_written_to_no_folder_where_a_kill_would_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A brother of fault 44: no inventory knows of such a file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    user = {"client-certificate-data": in_base64(CERTIFICATE), "client-key-data": in_base64(KEY)}
    assert load_kubeconfig(a_kubeconfig(tmp_path, user=user)).tls is not None


def test_a_token_is_sent_and_one_in_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    assert load_kubeconfig(a_kubeconfig(tmp_path, user={"token": "abc"})).authorization() == "Bearer abc"
    (tmp_path / "token").write_text("first\n")
    credentials = load_kubeconfig(a_kubeconfig(tmp_path, user={"tokenFile": "token"}))
    assert credentials.authorization() == "Bearer first"
    (tmp_path / "token").write_text("second\n")
    assert credentials.authorization() == "Bearer second"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_token_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = a_kubeconfig(tmp_path, user={"tokenFile": "token"})
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    told = rf"^{tmp_path}/token: the kubeconfig's tokenFile cannot be read: "
    with pytest.raises(KubeconfigError, match=told):
        load_kubeconfig(file).authorization()
    with pytest.raises(KubeconfigError, match=told):
        read_kubeconfig(file).bearer()


def test_a_token_does_not_show_in_the_words_of_the_credentials() -> None:
    assert "hidden-token" not in repr(Credentials("https://x", token="hidden-token"))


def test_verification_is_only_off_where_the_file_says_so(tmp_path: Path) -> None:
    credentials = load_kubeconfig(a_kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True}))
    assert credentials.tls is not None and credentials.tls.verify_mode is ssl.CERT_NONE
    named = load_kubeconfig(a_kubeconfig(tmp_path, cluster={"tls-server-name": "kubernetes"}))
    assert named.tls_server_name == "kubernetes"


@pytest.mark.parametrize(
    ("cluster", "user", "words"),
    [
        (
            {},
            {"exec": {"command": "aws"}},
            r"users\[u\]\.exec: exec plugins are not supported: use a client certificate",
        ),
        ({}, {"auth-provider": {"name": "gcp"}}, r"users\[u\]\.auth-provider: .* use a client certificate"),
        ({}, {"username": "a", "password": "b"}, r"users\[u\]\.username: passwords are not supported"),
        ({"proxy-url": "http://p"}, {}, r"clusters\[c\]\.proxy-url: proxies are not supported: remove it"),
        ({"server": "ftp://x"}, {}, r"clusters\[c\]\.server: 'ftp://x' is no http\(s\) address"),
        ({"certificate-authority": "gone.crt"}, {}, r"certificate-authority: gone.crt cannot be read: No such file"),
        ({"certificate-authority-data": "%%%"}, {}, r"certificate-authority-data: is not base64"),
        ({"certificate-authority-data": in_base64(b"junk")}, {}, r"the certificates cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], words: str
) -> None:
    path = a_kubeconfig(tmp_path, cluster=cluster, user=user)
    with pytest.raises(KubeconfigError, match=words) as raised:
        load_kubeconfig(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contexts: 5", r"Expected `array \| null`, got `int` - at `\$\.contexts`"),
        ("contexts: [here]", r"Expected `object`, got `str` - at `\$\.contexts\[0\]`"),
        ("contexts: [{context: {}}]", r"missing required field `name` - at `\$\.contexts\[0\]`"),
        ("current-context: [a]", r"got `array` - at `\$\.current-context`"),
        ("users: [{name: u, user: {token: 5}}]", r"got `int` - at `\$\.users\[0\]\.user\.token`"),
        ("clusters: [{name: c, cluster: {certificate-authority: 5}}]", r"got `int` - at .*\.certificate-authority`"),
        ("clusters: [{name: c, cluster: {insecure-skip-tls-verify: 'false'}}]", r"got `str` - at .*-tls-verify`"),
        ("5: 6", "is no kubeconfig"),
    ],
)
def test_a_kubeconfig_of_a_wrong_shape_is_named_by_its_field(tmp_path: Path, text: str, words: str) -> None:
    """None of them ends in a traceback, and the text ``false`` does not turn the look at a certificate off."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=words) as raised:
        load_kubeconfig(path)
    assert str(raised.value).startswith(f"{path}: is no kubeconfig: ")


def test_empty_fields_are_as_missing_ones(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path, cluster={"proxy-url": None, "tls-server-name": ""}, user={"exec": None, "token": ""})
    assert read_kubeconfig(path).server == "https://127.0.0.1:6443"


def test_of_two_clusters_of_one_name_the_first_counts(tmp_path: Path) -> None:
    path = a_kubeconfig(tmp_path)
    config = yaml.safe_load(path.read_text())
    config["clusters"].append({"name": "c", "cluster": {"server": "https://127.0.0.1:1"}})
    path.write_text(yaml.safe_dump(config))
    assert read_kubeconfig(path).server == "https://127.0.0.1:6443"


def test_a_file_that_is_missing_or_no_kubeconfig_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    with pytest.raises(KubeconfigError, match="cannot be read: No such file"):
        load_kubeconfig(path)
    for text, words in (("[1", "is no YAML"), ("just words", "is no kubeconfig"), ("a: 1", "contexts: there is no ''")):
        path.write_text(text)
        with pytest.raises(KubeconfigError, match=words):
            load_kubeconfig(path)
