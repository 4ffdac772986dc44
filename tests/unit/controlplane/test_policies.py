"""The policy on what nobody carries out refuses what the tables say, and nothing else."""

from __future__ import annotations

from virtualserver.api.support.field import Effect
from virtualserver.api.support.service import NETWORK_POLICY, SERVICE
from virtualserver.controlplane import bootstrap


def test_what_is_refused_of_kubernetes_own_kinds_is_what_the_tables_say() -> None:
    (policy,) = [
        one
        for one in bootstrap.load()
        if one["kind"] == "ValidatingAdmissionPolicy" and one["metadata"]["name"].startswith("not-carried-out.")
    ]
    told = [one.get("message") or one["messageExpression"].strip("'") for one in policy["spec"]["validations"]]
    refused = {field.path for table in (SERVICE, NETWORK_POLICY) for field in table if field.refused}
    assert {message.partition(":")[0] for message in told} == refused
    of_effect = {field.path for table in (SERVICE, NETWORK_POLICY) for field in table if field.effect is Effect.REFUSED}
    assert of_effect <= refused
