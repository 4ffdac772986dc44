"""Programs of the system: what their failures say."""

from __future__ import annotations

import pytest

from virtualserver.host.commands import CommandError, run


async def test_a_failure_tells_on_one_line_all_that_the_program_said() -> None:
    with pytest.raises(CommandError, match=r"^sh -c .*: exit status 3: File exists; Command failed -:1$"):
        await run("sh", "-c", "printf 'File exists\\nCommand failed -:1\\n' >&2; exit 3")


async def test_a_missing_program_is_named_with_the_remedy() -> None:
    with pytest.raises(CommandError, match="no-such-program: not found on PATH: install it"):
        await run("no-such-program")


async def test_an_accepted_status_is_no_failure() -> None:
    assert await run("sh", "-c", "cat; exit 1", stdin="text", accept=(0, 1)) == "text"
