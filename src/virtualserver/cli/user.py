"""``vs user``: who beside the administrator may use the instance; `local.users` does it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from virtualserver.cli import output, progress
from virtualserver.host.counts import counted
from virtualserver.installation.installation import Installation
from virtualserver.local import caller, rights, users
from virtualserver.local.errors import EXPECTED, ConflictError, LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["group", "held_in_words"]

_TIME: Final = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class _TimeType(click.ParamType["datetime.timedelta"]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.timedelta:
        """Return the time; a bare number is refused, since nobody knows of what."""
        if isinstance(value, datetime.timedelta):
            return value
        found = _TIME.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no time; write it as 365d, 12h or 30m", param, ctx)
        return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


def _complete_name(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the users' names; none where nobody answers."""
    del context, parameter
    try:
        known = users.listed(Installation.from_environment())
    except (*EXPECTED, OSError):
        return []
    return [CompletionItem(user.name) for user in known if user.name.startswith(incomplete)]


@click.group("user")
def group() -> None:
    """Let other people use this instance, each in a namespace and nowhere else."""


@group.command("add")
@click.argument("name")
@click.option("--namespace", "-n", required=True, help="Where the user has rights; made where it is missing.")
@click.option(
    "--role",
    type=click.Choice(["edit", "view"]),
    default="edit",
    show_default=True,
    help="edit: servers, disks, Secrets and consoles of the namespace; view: look, but at no Secret.",
)
@click.option(
    "--addresses",
    type=click.IntRange(min=0),
    help=f"Addresses of each pool that the namespace may hold; {users.ADDRESSES} where it has no quota yet.",
)
@click.option("--valid", type=_TimeType(), default="365d", show_default=True, help="How long the token is valid.")
@click.option(
    "-o",
    "--output",
    "target",
    default="text",
    metavar="FILE|json",
    type=click.Path(dir_okay=False, allow_dash=False),
    help="Write the kubeconfig to FILE (mode 0600), or print everything as JSON; else it is printed alone.",
)
@click.pass_obj
def add_command(installation: Installation, name: str, target: str, **asked: Any) -> None:
    """Give a person a kubeconfig for one namespace: vs user add ada --namespace team-a -o ada.kubeconfig."""
    file = None if target in ("text", "json") else Path(target)
    if file is not None:
        _refuse_others(file, name)
    access = users.add(installation, name, report=progress.StepPrinter(), **asked)
    if file is not None:
        caller.write_for(caller.Caller.find(), file, access.kubeconfig)
        output.say(f"{file}: the kubeconfig of {name}. {_said(access)}")
    elif target == "json":
        output.as_json({**_encode(access), "kubeconfig": json.loads(access.kubeconfig)})
    else:
        output.data(access.kubeconfig)
        output.say(f"The kubeconfig of {name} is on standard output. {_said(access)}", err=True)


@group.command("list")
@output.option
@click.pass_obj
def list_command(installation: Installation, form: str) -> None:
    """List the users, what they may do, and until when."""
    found = users.listed(installation)
    if form == "json":
        output.as_json([dataclasses.asdict(user) for user in found])
        return
    rows = [
        (user.name, right.namespace or "(all)", right.role, user.expires or "no token")
        for user in found
        for right in user.rights or (rights.Right("(none)", "none", "", False),)
    ]
    output.table(("USER", "NAMESPACE", "ROLE", "VALID UNTIL"), rows)


@group.command("remove")
@click.argument("name", shell_complete=_complete_name)
@click.option("--end-tokens", "ends", is_flag=True, help="End the tokens of the namespace's ServiceAccounts too.")
@click.option("--yes", is_flag=True, help="With --end-tokens: do not ask.")
@output.option
@click.pass_obj
def remove_command(installation: Installation, name: str, ends: bool, yes: bool, form: str) -> None:
    """Take a person's access: the kubeconfig is refused within 10 seconds; the namespace stays as it is."""
    if yes and not ends:
        raise click.UsageError("--yes answers the question that only --end-tokens asks.")
    report = progress.StepPrinter()
    with report.step(f"User {name}") as update:
        revoked = users.revoke(installation, name, update=update)
    if revoked.accounts:
        _name(revoked.accounts, name)
    # Others may use these ServiceAccounts: who sits at a terminal is asked, with the option or without.
    agreed = ends
    if revoked.accounts and not yes and sys.stdin.isatty():
        agreed = click.confirm("End all tokens of these ServiceAccounts? Who uses one needs a new one.", err=True)
    ending = revoked.accounts if agreed else ()
    with report.step("What is left") as update:
        users.forget(installation, name, ending=ending, update=update)
    if form == "json":
        accounts = [{**dataclasses.asdict(one), "ended": agreed} for one in revoked.accounts]
        left = [dataclasses.asdict(right) for right in revoked.rights]
        output.as_json({"user": name, "accounts": accounts, "left": left})
        return
    for right in revoked.rights:
        where = f"RoleBinding {right.namespace}/" if right.namespace else "ClusterRoleBinding "
        output.say(f"{where}{right.binding} still names {name}: it gives {right.role} to the next user of this name.")
    output.say(f"{name} is removed: the API server refuses the kubeconfig within 10 seconds.")


def _said(access: users.Access) -> str:
    quota = (
        f", and the namespace holds {held_in_words(access.addresses)} of each pool at most" if access.addresses else ""
    )
    return (
        f"It is valid until {access.expires} for {access.server} and gives the role {access.role} in namespace "
        f"{access.namespace}{quota}. Who has it is {access.user}: `vs user remove {access.user}` ends it."
    )


def held_in_words(quota: str) -> str:
    """Return a namespace's quota in words; an annotation that is no number as it is."""
    return counted(int(quota), "address", "addresses") if quota.isdecimal() else f"{quota} addresses"


def _encode(access: users.Access) -> dict[str, Any]:
    return {
        "user": access.user,
        "namespace": access.namespace,
        "role": access.role,
        "addresses": int(access.addresses) if access.addresses.isdecimal() else None,
        "expires": access.expires,
        "server": access.server,
    }


def _refuse_others(file: Path, name: str) -> None:
    """Refuse to replace a file that is not this user's kubeconfig, before anything is made.

    Raises:
        ConflictError: It holds something else.
        LocalError: Its folder is not there.
    """
    if not file.parent.is_dir():
        raise LocalError(f"{file}: there is no folder {file.parent}.", remedy="Make it, or name another file.")
    try:
        first = json.loads(file.read_bytes())["users"][0]["name"] if file.exists() else f"{name}@"
    except (ValueError, KeyError, IndexError, TypeError):
        first = ""
    if not first.startswith(f"{name}@"):
        raise ConflictError(f"{file} is there already, and is no kubeconfig of {name}.", remedy="Name another file.")


def _name(accounts: Sequence[users.Account], name: str) -> None:
    output.say(f"{name} could make tokens of these ServiceAccounts, and they go on working:", err=True)
    for one in accounts:
        output.say(f"  {one.namespace}/{one.name} ({', '.join(one.roles) or 'no rights'})", err=True)
    output.say("  --end-tokens ends them; by hand: kubectl delete serviceaccount, and make it again", err=True)
