"""Which foreign rules are named as blockers, and how they let our packets pass."""

from __future__ import annotations

from typing import Any

import pytest

from virtualserver.fabric.blockers import blockers_in, foreign_tables, legacy_listing

DEVICE = "vsh-0000a1"
Rule = list[dict[str, Any]]


def match(key: str, value: Any, operator: str = "==") -> dict[str, Any]:
    left = {"ct": {"key": "state"}} if key == "ct" else {"meta": {"key": key}}
    return {"match": {"op": operator, "left": left, "right": value}}


ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}


def listing(
    *rules: Rule,
    policy: str = "accept",
    table: str = "filter",
    family: str = "ip",
    others: dict[str, list[Rule]] | None = None,
) -> Any:
    place = {"family": family, "table": table}
    base = {"name": "FORWARD", "hook": "forward", "policy": policy}
    items: list[dict[str, Any]] = [{"chain": {**place, **base}}]
    items += [{"rule": {**place, "chain": "FORWARD", "expr": rule}} for rule in rules]
    for name, more in (others or {}).items():
        items.append({"chain": {**place, "name": name}})
        items += [{"rule": {**place, "chain": name, "expr": rule}} for rule in more]
    return {"nftables": items}


@pytest.mark.parametrize(
    "harmless",
    [
        listing(),
        listing([match("iifname", "docker0"), DROP]),
        listing([match("ct", {"set": ["invalid"]}), DROP]),
        listing([{"match": {"op": "==", "left": {"payload": {}}, "right": "192.0.2.1"}}, DROP]),
        listing([match("iifname", "vsh-*"), ACCEPT], [match("oifname", DEVICE), ACCEPT], policy="drop"),
        listing([match("ct", "new"), ACCEPT], policy="drop"),
        listing(policy="drop", table="vs-other", family="inet"),
        listing(policy="drop", family="ip6"),
        listing([{"jump": {"target": "mine"}}], policy="drop", others={"mine": [[ACCEPT]]}),
    ],
)
def test_rules_that_let_our_packets_pass_are_no_blockers(harmless: Any) -> None:
    assert blockers_in(harmless, DEVICE, ["eth0"]) == []


@pytest.mark.parametrize(
    "harmful",
    [
        listing(policy="drop"),
        listing([match("ct", ["established", "related"]), ACCEPT], [{"reject": None}]),
        listing([match("iifname", DEVICE), ACCEPT], policy="drop"),
        listing([match("iifname", "eth0", "!="), DROP]),
        listing([{"jump": {"target": "deep"}}], others={"deep": [[{"counter": {}}, DROP]]}),
        listing([{"jump": {"target": "back"}}], policy="drop", others={"back": [[{"return": None}], [ACCEPT]]}),
        listing([{"goto": {"target": "away"}}], [ACCEPT], policy="drop", others={"away": []}),
        listing([{"jump": {"target": "FORWARD"}}], policy="drop"),
        listing([{"xt": {"type": "target", "name": "REJECT"}}]),
        listing([{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["new", {"drop": None}]]}}}]),
    ],
)
def test_rules_that_drop_our_packets_are_named(harmful: Any) -> None:
    (blocker,) = blockers_in(harmful, DEVICE, ["eth0"])
    assert blocker.where == "ip filter FORWARD"
    assert blocker.remedy == (
        f'nft \'insert rule ip filter FORWARD iifname "{DEVICE}" accept; '
        f'insert rule ip filter FORWARD oifname "{DEVICE}" accept\''
    )


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (listing(policy="drop", others={"DOCKER-USER": []}), "insert rule ip filter DOCKER-USER"),
        (listing(policy="drop", table="firewalld", family="inet"), "firewall-cmd --permanent --zone=trusted"),
        (listing(policy="drop", others={"ufw-user-forward": []}), "ufw route allow in on vsh-0000a1"),
    ],
)
def test_the_remedy_is_in_the_words_of_whoever_owns_the_chain(rules: Any, words: str) -> None:
    (blocker,) = blockers_in(rules, DEVICE, [])
    assert words in blocker.remedy


def test_rules_of_the_old_iptables_are_understood() -> None:
    text = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n"
    text += f"-A FORWARD -i {DEVICE} -j ACCEPT\n"
    (blocker,) = blockers_in(legacy_listing(text), DEVICE, ["eth0"])
    assert "packets to guests: policy drop" in blocker.reason
    assert blocker.remedy.startswith(f"iptables-legacy -I DOCKER-USER -i {DEVICE} -j ACCEPT && ")
    allowed = text + f"-A DOCKER-USER -o {DEVICE} -j ACCEPT\n-A FORWARD -p tcp -m tcp --dport 1 -j DROP\n"
    assert blockers_in(legacy_listing(allowed), DEVICE, ["eth0"]) == []


def test_tables_of_others_count_where_they_see_packets() -> None:
    def chain(family: str, table: str, hook: str | None) -> dict[str, Any]:
        hooked = {"hook": hook} if hook else {}
        return {"chain": {"family": family, "table": table, "name": "c", **hooked}}

    items = [chain("inet", "virtualserver", "forward"), chain("ip", "nat", "prerouting"), chain("inet", "idle", None)]
    assert foreign_tables({"nftables": [{"metainfo": {}}, *items]}) == [("ip", "nat")]
