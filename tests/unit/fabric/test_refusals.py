"""Who is left out of the data plane when it is taken over."""

from __future__ import annotations

import pytest

from virtualserver.fabric.desired.ledger import Delta, Entries, Entry, Ledger, Owner, difference
from virtualserver.fabric.kernel.errors import KernelError
from virtualserver.fabric.refusals import LeftOut

ODD, PLAIN, OTHER = Owner("link", "odd", "default"), Owner("link", "plain", "default"), Owner("service", "web")


class Kernel:
    """A kernel that refuses some entries, and whatever comes with them, after having taken what is before them."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.there: dict[Entry, str] = {}
        self.ledger = Ledger()

    async def look(self) -> Delta:
        return difference(self.there, self.ledger.entries())

    async def change(self, delta: Delta) -> None:
        for entry in delta.removed:
            del self.there[entry]
        for entry, value in sorted(delta.added.items()):
            if entry.key in self.refused:
                raise KernelError(f"{entry.key}: refused")
            assert entry not in self.there, "what is there is not made again"
            self.there[entry] = value


def asked(*keys: str) -> Entries:
    return {Entry("tap", key): "" for key in keys}


async def test_of_whom_the_kernel_refuses_something_is_left_out_and_the_others_are_brought_in() -> None:
    """One link that the kernel refused ended each start of the node, for all guests."""
    kernel, left_out = Kernel("b"), LeftOut()
    kernel.ledger.put(ODD, asked("a", "b", "shared"))
    kernel.ledger.put(PLAIN, asked("c", "shared"))
    kernel.ledger.put(OTHER, asked("d"))
    await left_out.sift(kernel.ledger, kernel.look, kernel.change)
    await kernel.change(await kernel.look())
    assert kernel.there.keys() == asked("c", "d", "shared").keys()
    assert left_out.why(ODD) == "the data plane cannot carry it: b: refused"
    assert left_out.why(PLAIN) == left_out.why(OTHER) == ""


async def test_what_is_refused_of_everybody_is_nobodys_fault() -> None:
    """Else a kernel that takes nothing for a moment would cost all guests what they have."""
    kernel, left_out = Kernel("a", "b"), LeftOut()
    kernel.ledger.put(ODD, asked("a"))
    kernel.ledger.put(PLAIN, asked("b"))
    with pytest.raises(KernelError, match="refused"):
        await left_out.sift(kernel.ledger, kernel.look, kernel.change)
