from __future__ import annotations

from unit.operator.known import a_server
from virtualserver.operator.manifests import server_mac, source_claim


def test_a_server_without_a_cluster_nic_claims_no_mac_address() -> None:
    assert server_mac(a_server("web", network={"disableK8sNetworking": True})) is None


def test_what_has_another_shape_than_the_schema_says_counts_as_absent() -> None:
    server = a_server("web", network="none", storage={"root": {"source": {"pvc": ["no", "object"]}}})
    assert server_mac(server) == server_mac(a_server("web"))
    assert source_claim(server) is None
