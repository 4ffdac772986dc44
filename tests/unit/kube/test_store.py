from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from virtualserver.kube.objects import Manifest, key_of
from virtualserver.kube.store import Change, Store, version_of


def an_object(name: str = "a", *, version: int, uid: str = "u1", owner: str | None = None, **extra: Any) -> Manifest:
    metadata: dict[str, Any] = {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version)}
    if owner:
        metadata["ownerReferences"] = [{"uid": "someone"}, {"uid": owner, "controller": True}]
    return {"metadata": metadata, **extra}


def test_what_the_watch_brings_is_found_by_name_and_reported_with_what_was_before() -> None:
    store = Store()
    one, two = an_object(version=1), an_object(version=2)
    assert store.put(one) == Change(None, one)
    assert store.put(two) == Change(one, two)
    assert store.get("n", "a") == two
    assert store.get("n", "b") is None
    assert store.drop(an_object(version=3)) == Change(two, None)
    assert list(store.all()) == []


def test_an_event_that_comes_twice_or_late_is_not_reported() -> None:
    store = Store()
    store.put(an_object(version=5))
    assert store.put(an_object(version=5)) is None
    assert store.put(an_object(version=4)) is None
    assert store.drop(an_object("unknown", version=6)) is None
    assert store.get("n", "a") == an_object(version=5)
    store.drop(an_object(version=7))
    assert store.put(an_object(version=5)) is None
    assert store.get("n", "a") is None


def test_objects_are_found_by_their_controller_in_the_order_of_their_names() -> None:
    store = Store()
    for version, (name, owner) in enumerate([("c", "o1"), ("a", "o1"), ("b", "o2"), ("d", None)], start=1):
        store.put(an_object(name, version=version, owner=owner))
    assert [key_of(found)[1] for found in store.by_index("owner", "o1")] == ["a", "c"]
    store.put(an_object("a", version=5, owner="o2"))
    assert [key_of(found)[1] for found in store.by_index("owner", "o1")] == ["c"]
    store.drop(an_object("c", version=6, owner="o1"))
    assert store.by_index("owner", "o1") == []


def test_an_index_of_ones_own_may_give_several_values() -> None:
    store = Store(indexes={"ports": lambda manifest: [str(port) for port in manifest["ports"]]})
    store.put(an_object(version=1, ports=[1, 2]))
    store.put(an_object("b", version=2, ports=[2]))
    assert [key_of(found)[1] for found in store.by_index("ports", "2")] == ["a", "b"]
    with pytest.raises(KeyError):
        store.by_index("no such index", "x")


def test_a_remembered_write_is_seen_at_once_and_never_taken_back_by_an_older_event() -> None:
    store = Store()
    store.put(an_object(version=1))
    store.remember(an_object(version=5))
    assert store.put(an_object(version=3)) is None
    store.remember(an_object(version=4))
    assert store.get("n", "a") == an_object(version=5)


def test_a_remembered_write_is_still_reported_when_the_watch_brings_it() -> None:
    store = Store()
    before, ours = an_object(version=1), an_object(version=5)
    store.put(before)
    store.remember(ours)
    assert store.put(ours) == Change(before, ours, is_own=True), "others than the writer wait for it"
    assert store.put(ours) is None


def test_a_change_by_somebody_else_that_our_own_write_hides_is_reported_as_not_only_ours() -> None:
    store = Store()
    before, theirs, ours = an_object(version=1), an_object(version=3), an_object(version=5)
    store.put(before)
    store.remember(ours)
    assert store.put(theirs) is None
    assert store.put(ours) == Change(before, ours, is_own=False)


def test_several_writes_of_ours_in_a_row_are_ours() -> None:
    store = Store()
    before, one, two = an_object(version=1), an_object(version=3), an_object(version=5)
    store.put(before)
    store.remember(one)
    store.remember(two)
    assert store.put(one) is None
    assert store.put(two) == Change(before, two, is_own=True)
    three = an_object(version=6)
    assert store.put(three) == Change(two, three, is_own=False)


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    store = Store()
    store.put(an_object(version=1))
    store.drop(an_object(version=7))
    store.remember(an_object(version=6))
    assert store.get("n", "a") is None
    store.remember(an_object(version=9, uid="u2"))
    assert store.get("n", "a") == an_object(version=9, uid="u2"), "another object of that name is another matter"


def test_an_answer_that_is_later_than_a_bookmark_changes_nothing() -> None:
    store = Store()
    store.advance(10)
    store.remember(an_object(version=10))
    assert store.get("n", "a") is None, "it was made and deleted while the watch was away"
    store.remember(an_object(version=11))
    assert store.get("n", "a") == an_object(version=11)


def test_the_deletion_of_the_former_object_of_a_name_does_not_take_the_new_one() -> None:
    store = Store()
    old, new = an_object(version=1), an_object(version=9, uid="u2")
    store.put(old)
    store.remember(new)
    assert store.drop(an_object(version=8)) == Change(old, None)
    assert store.get("n", "a") == new
    assert store.put(new) == Change(None, new, is_own=True)


def test_a_listing_reports_what_was_deleted_unheard() -> None:
    store = Store()
    kept, gone = an_object("kept", version=1), an_object("gone", version=2, uid="u2")
    store.put(kept)
    store.put(gone)
    changed = an_object("kept", version=3)
    store.begin_replace()
    assert store.replace([changed], version=3) == [Change(gone, None), Change(kept, changed)]
    store.begin_replace()
    assert store.replace([changed], version=3) == []
    store.remember(an_object("gone", version=2, uid="u2"))
    assert store.get("n", "gone") is None


def test_a_listing_does_not_take_what_was_written_since_it_was_asked_for() -> None:
    store = Store()
    store.put(an_object(version=1))
    store.begin_replace()
    store.remember(an_object(version=5))
    store.remember(an_object("new", version=6, uid="u2"))
    assert store.replace([an_object(version=1)], version=4) == []
    assert store.get("n", "a") == an_object(version=5)
    assert store.get("n", "new") == an_object("new", version=6, uid="u2")


def test_a_listing_takes_what_was_remembered_before_it_was_asked_for() -> None:
    store = Store()
    ours = an_object(version=5)
    store.remember(ours)
    store.begin_replace()
    assert store.replace([], version=6) == [Change(ours, None)]


def test_a_server_restored_from_a_backup_is_believed() -> None:
    store = Store()
    store.put(an_object(version=500))
    store.begin_replace()
    assert store.replace([an_object(version=20)], version=20) == [Change(an_object(version=500), an_object(version=20))]
    assert store.put(an_object(version=21)) == Change(an_object(version=20), an_object(version=21))


@dataclasses.dataclass
class Server:
    """An API server's history of one kind, for a model."""

    version: int = 0
    objects: dict[str, Manifest] = dataclasses.field(default_factory=dict[str, Manifest])
    events: list[tuple[str, Manifest]] = dataclasses.field(default_factory=list[tuple[str, Manifest]])

    def write(self, name: str, owner: str) -> Manifest:
        self.version += 1
        uid = self.objects[name]["metadata"]["uid"] if name in self.objects else f"u{self.version}"
        self.objects[name] = an_object(name, version=self.version, uid=uid, owner=owner)
        self.events.append(("PUT", self.objects[name]))
        return self.objects[name]

    def delete(self, name: str) -> None:
        self.version += 1
        last = self.objects.pop(name)
        metadata = {**last["metadata"], "resourceVersion": str(self.version)}
        self.events.append(("DELETED", {**last, "metadata": metadata}))


class StoreRules(RuleBasedStateMachine):
    """Whatever the order of writes, answers, events and listings, no entry goes backwards, and in the end all agree.

    What was reported, replayed, gives the store's content wherever no own write is unconfirmed. A change that is said
    to be our own hides nobody else's write.
    """

    names = st.sampled_from("abc")
    owners = st.sampled_from(["o1", "o2"])

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.store = Store()
        self.seen = 0
        self.answers: list[Manifest] = []
        self.listing: tuple[list[Manifest], int] | None = None
        self.reported: dict[str, Manifest] = {}
        self.newest: dict[str, int] = {}
        self.own: set[int] = set()
        self.told: dict[str, int] = {}

    def report(self, changes: list[Change]) -> None:
        for change in changes:
            name = change.key[1]
            if change.is_own:
                assert change.new is not None
                assert self.writes(name, since=self.told.get(name, 0), until=version_of(change.new)) <= self.own
            self.told[name] = version_of(change.new) if change.new else self.deletion(name, change)
            if change.new is None:
                self.reported.pop(name, None)
            else:
                self.reported[name] = change.new

    def writes(self, name: str, *, since: int, until: int) -> set[int]:
        """Return the versions of what happened to an object after one version, up to another."""
        found = [version_of(manifest) for _, manifest in self.server.events if manifest["metadata"]["name"] == name]
        return {version for version in found if since < version <= until}

    def deletion(self, name: str, change: Change) -> int:
        """Return the version of the deletion that a change tells of."""
        assert change.old is not None
        uid = change.old["metadata"]["uid"]
        return next(
            version_of(last) for kind, last in self.server.events if (kind, uid) == ("DELETED", last["metadata"]["uid"])
        )

    @rule(name=names, owner=owners)
    def somebody_writes(self, name: str, owner: str) -> None:
        self.server.write(name, owner)

    @rule(name=names, owner=owners)
    def we_write(self, name: str, owner: str) -> None:
        written = self.server.write(name, owner)
        self.own.add(version_of(written))
        self.answers.append(written)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.answers) - 1))
        self.store.remember(self.answers.pop(index))

    @precondition(lambda self: self.server.objects)
    @rule(data=st.data())
    def somebody_deletes(self, data: st.DataObject) -> None:
        self.server.delete(data.draw(st.sampled_from(sorted(self.server.objects))))

    @precondition(lambda self: self.seen < len(self.server.events) and self.listing is None)
    @rule(repeated=st.integers(0, 2))
    def an_event_arrives(self, repeated: int) -> None:
        self.seen += 1
        first = max(0, self.seen - 1 - repeated)
        for kind, manifest in self.server.events[first : self.seen]:
            change = self.store.drop(manifest) if kind == "DELETED" else self.store.put(manifest)
            self.report([change] if change else [])

    @precondition(lambda self: self.listing is None)
    @rule()
    def a_listing_is_asked_for_and_read(self) -> None:
        self.store.begin_replace()
        self.listing = (list(self.server.objects.values()), self.server.version)

    @precondition(lambda self: self.listing is not None)
    @rule()
    def the_listing_arrives(self) -> None:
        assert self.listing
        items, version = self.listing
        self.seen = version  # Every version has one event.
        self.listing = None
        self.report(self.store.replace(items, version=version))
        listed = {key_of(manifest)[1]: manifest for manifest in items}
        for name in "abc":
            if self.reported.get(name) == listed.get(name):
                self.told[name] = max(version, self.told.get(name, 0))

    @invariant()
    def the_index_agrees_with_the_objects(self) -> None:
        for owner in ("o1", "o2"):
            want = [m for m in self.store.all() if m["metadata"]["ownerReferences"][1]["uid"] == owner]
            assert list(self.store.by_index("owner", owner)) == sorted(want, key=key_of)

    @invariant()
    def no_object_goes_backwards(self) -> None:
        for manifest in self.store.all():
            metadata = manifest["metadata"]
            version = int(metadata["resourceVersion"])
            assert version >= self.newest.get(metadata["uid"], 0)
            self.newest[metadata["uid"]] = version

    def teardown(self) -> None:
        if self.listing is not None:
            self.the_listing_arrives()
        while self.seen < len(self.server.events):
            self.an_event_arrives(repeated=0)
        assert {key_of(m)[1]: m for m in self.store.all()} == self.server.objects == self.reported


SHORT = settings(max_examples=200, stateful_step_count=40, deadline=None)
StoreRules.TestCase.settings = settings() if settings.get_current_profile_name() == "soak" else SHORT
TestStoreRules = StoreRules.TestCase
