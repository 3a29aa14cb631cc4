"""Whether the daemon lives, whether it is ready, and whether one host is: for supervisors and load balancers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fleet.daemon.board import Board
from fleet.daemon.listener.answers import Refused, json_answer
from fleet.daemon.listener.asking import host_name
from fleet.daemon.listener.documents import fault_lines
from fleet.daemon.status import Outcome, SourceState


def unready(board: Board) -> str | None:
    """Why nothing can be said of the hosts so far; nothing once manifests are in force and hosts were looked at."""
    source = board.fleet.source
    if not source.revision:
        if source.state is SourceState.NONE:
            return "the manifests were not read so far"
        faults = fault_lines(source.message)
        told = f": {faults[0]}" if faults else ""
        return f"no manifests are in force, and those that were read are {source.state}{told}"
    looked = any(host.seen is not None or host.code is not None for host in board.hosts.values())
    ended = any(one.ended is not None and one.outcome is not Outcome.NOT_BEGUN for one in board.fleet.passes)
    if not (looked or ended or board.fleet.last_success is not None):
        return "no host was looked at so far"
    return None


class Health:
    """The three answers."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def lives(self, request: Request) -> Response:
        """That it comes at all is what it tells."""
        return json_answer({"alive": True})

    async def ready(self, request: Request) -> Response:
        reason = unready(self._board)
        if reason is not None:
            raise Refused(503, "not-ready", reason, headers={"retry-after": "5"})
        return json_answer({"ready": True})

    async def host(self, request: Request) -> Response:
        host = self._board.hosts.get(host_name(request.path_params["name"]))
        if host is None:
            raise Refused(404, "no-such-host", "the inventory has no host of this name")
        if not host.ready:
            raise Refused(503, "not-ready", f"`{host.name}` is {host.condition}: {host.reason}")
        return json_answer({"ready": True})
