"""The way to the API: which kubeconfig, which namespace, and in what words a refusal is told."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from virtualserver.kube.errors import ApiError, Forbidden, NotFound, Unavailable
from virtualserver.kube.kubeconfig import Credentials, KubeconfigError, load_kubeconfig
from virtualserver.plan.ownership import VIRTUAL_SERVER
from virtualserver.servers.errors import MissingServerError, ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from virtualserver.kube.client import Client
    from virtualserver.kube.objects import Manifest

__all__ = ["ApiAccess"]

_USER_AGENT: Final = "vs"
_ANOTHER: Final = "Name another with --kubeconfig or the variable KUBECONFIG."


@dataclasses.dataclass(frozen=True, slots=True)
class ApiAccess:
    """How somebody reaches an API server, and the namespace that is meant.

    Attributes:
        kubeconfig: The file that says so.
        credentials: Whom to talk to, and as whom.
        namespace: Where the servers are.
    """

    kubeconfig: Path
    credentials: Credentials
    namespace: str

    @classmethod
    def find(
        cls,
        *,
        kubeconfig: Path | None,
        namespace: str | None,
        instance: Path,
        is_chosen: bool,
        environment: Mapping[str, str] = os.environ,
    ) -> ApiAccess:
        """Return the caller's access; nothing is connected yet.

        Args:
            kubeconfig: The file to use; None: the instance's where the caller chose it, else the one that the variable
                KUBECONFIG names, else the instance's where it can be read, else kubectl's default.
            namespace: None: that of the kubeconfig's context.
            instance: Where the instance's kubeconfig would lie.
            is_chosen: Whether the caller named the instance, so that no other may be meant.
            environment: Of the caller.

        Raises:
            ServerError: There is no kubeconfig, or it cannot be used.
        """
        try:
            chosen = kubeconfig or (instance if is_chosen else _found(instance, environment))
            credentials = load_kubeconfig(chosen)
        except KubeconfigError as error:
            raise ServerError(str(error), remedy=_ANOTHER) from error
        return cls(chosen, credentials, namespace or credentials.namespace)

    @property
    def where(self) -> str:
        """The option that names the namespace, with a space before it; ``""`` where the kubeconfig names it."""
        return "" if self.namespace == self.credentials.namespace else f" -n {self.namespace}"

    def command(self, *words: str) -> str:
        """Return a command of ours that a person may type next, about the same namespace."""
        return f"vs {' '.join(words)}{self.where}"

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncGenerator[Client]:
        """Yield a client; what the API server refuses meanwhile is told with the next step.

        Raises:
            ServerError: It was refused, nobody answers, or the kubeconfig's token cannot be read.
        """
        # Half of the time that a command takes to start, of which most never come here.
        from virtualserver.kube.client import Client

        async with Client(self.credentials, user_agent=_USER_AGENT) as client:
            try:
                yield client
            except ApiError as error:
                raise self._told(error) from error
            except KubeconfigError as error:  # its tokenFile is read for each request
                raise ServerError(str(error), remedy=f"Mend {self.kubeconfig}. {_ANOTHER}") from error

    async def server(self, client: Client, name: str) -> Manifest:
        """Return a server as the API has it.

        Raises:
            MissingServerError: There is none of this name in the namespace; names the one that may be meant.
        """
        try:
            return await client.get(VIRTUAL_SERVER, name, namespace=self.namespace)
        except NotFound:
            known = await self.names(client)
        raise MissingServerError(
            f"there is no server {name!r} in namespace {self.namespace!r}.", remedy=_instead(name, known)
        )

    async def names(self, client: Client) -> list[str]:
        """Return the names of the namespace's servers."""
        return [one["metadata"]["name"] for one in await client.list(VIRTUAL_SERVER, namespace=self.namespace)]

    def _told(self, error: ApiError) -> ServerError:
        if error.status == 401:
            return ServerError(
                f"{self.credentials.server} does not know you: the kubeconfig's token has ended, or is of elsewhere.",
                remedy="Ask its administrator for a new one: vs user add NAME --namespace NAMESPACE",
            )
        if isinstance(error, Forbidden):
            return ServerError(
                f"you may not: {error.message}",
                remedy="Name another namespace with -n, or another kubeconfig with --kubeconfig.",
            )
        if isinstance(error, Unavailable):
            return ServerError(error.message, remedy="Is the instance up? `vs status` on its machine says so.")
        return ServerError(error.message)


def _found(instance: Path, environment: Mapping[str, str]) -> Path:
    """Return the kubeconfig that counts where the caller names none.

    Raises:
        ServerError: There is none, or the variable names several, which kubectl would merge.
    """
    named = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    if len(named) > 1:
        message = f"KUBECONFIG names {len(named)} files: {', '.join(named)}; they are not merged here."
        raise ServerError(message, remedy="Name the one that is meant with --kubeconfig.")
    if named:
        return Path(named[0])
    home = Path(environment.get("HOME") or "/") / ".kube" / "config"
    for path in (instance, home):
        if os.access(path, os.R_OK):
            return path
    raise ServerError(
        f"there is no kubeconfig: KUBECONFIG is not set, and neither {instance} nor {home} can be read.",
        remedy="Name yours with --kubeconfig; who did not start the instance gets one by `vs user add`.",
    )


def _instead(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {near[0]}? Another namespace is named with -n."
    there = f"There is {', '.join(sorted(known)[:10])}{' …' if len(known) > 10 else ''}" if known else "It has none"
    return f"{there}. Another namespace is named with -n."
