"""The page for people: rendered here, in parts, so that it works without a script and never holds up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from fleet.daemon.board import Board
from fleet.daemon.listener import overview, words
from fleet.daemon.listener.answers import PAGE_POLICY, Pieces, Refused
from fleet.daemon.listener.asking import Filter, address, filter_of, host_name, number_of, text_of
from fleet.daemon.listener.tally import Tally, rank
from fleet.daemon.status import WORST, Condition, HostStatus

_HTML = "text/html; charset=utf-8"
_STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FRESH = timedelta(seconds=10)
"""How long a rendered host may be shown again: its ages are that much too young at most."""
_KEPT = 400
"""Rendered hosts that are kept, some pages of them."""
_ROWS = 5
"""Rendered at once: a few milliseconds."""

_Key = tuple[str, int, str, Condition | None]
"""A host, its version, and what of it was asked for."""


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A host's row. Templates escaped everything in it."""

    at: datetime
    seen: datetime | None
    chips: Markup
    whole: Markup


class Page:
    """Everything below `/` that a browser shows."""

    def __init__(self, board: Board, tally: Tally, now: Callable[[], datetime]) -> None:
        self._board = board
        self._tally = tally
        self._now = now
        self._rendered: dict[_Key, _Rendered] = {}
        here = resources.files("fleet.daemon.listener") / "static"
        self._static = {name: (here / name).read_bytes() for name in _STATIC}
        self._pages = _environment()
        self._chips = self._pages.get_template("chips.html")
        self._row = self._pages.get_template("row.html")

    async def fleet(self, request: Request) -> Response:
        await self._tally.fresh()
        query = request.query_params
        chosen, label = filter_of(query), text_of(query, "group")
        hosts = chosen.chosen(self._tally)
        last = overview.pages(len(hosts))
        page = min(number_of(query, "page", 1, most=10**6) or 1, last)
        groups = overview.grouped(hosts, label, page)
        now, fleet = self._now(), self._board.fleet
        steps, more_steps = overview.moving_steps(self._tally)
        held, more_held = overview.held(self._tally, fleet)
        rows = await self._rows([host for group in groups for host in group.hosts], chosen, now)
        return self._answer(
            request,
            "fleet.html",
            now,
            groups=groups,
            rows=rows,
            chosen=chosen,
            label=label,
            labels=[name for name in sorted(self._tally.labels) if words.words(name, 200) == name],
            found=len(hosts),
            page=page,
            pages=last,
            here=self._links(chosen, label),
            steps=steps,
            more_steps=more_steps,
            held=held,
            more_held=more_held,
        )

    async def models(self, request: Request) -> Response:
        await self._tally.fresh()
        chosen = filter_of(request.query_params)
        models = chosen.models(self._tally) if chosen.model else None
        return self._answer(
            request, "models.html", self._now(), chosen=chosen, models=overview.model_rows(self._tally, models)
        )

    async def host(self, request: Request) -> Response:
        await self._tally.fresh()
        try:
            host = self._board.hosts[host_name(request.path_params["name"])]
        except (KeyError, Refused):
            return self._answer(request, "no-host.html", self._now(), status=404)
        items = sorted(host.items, key=lambda item: (rank(item.condition), item.model))
        return self._answer(request, "host.html", self._now(), host=host, items=items)

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise Refused(404, "not-found", "there is nothing at this path")
        return Response(self._static[name], headers={"content-type": _STATIC[name]})

    async def _rows(self, hosts: list[HostStatus], chosen: Filter, now: datetime) -> Mapping[str, Markup]:
        models = chosen.models(self._tally) if chosen.model else None
        rendered: dict[str, Markup] = {}
        begun = 0
        for host in hosts:
            key = (host.name, self._board.version_of(host.name), chosen.model, chosen.condition)
            kept = self._rendered.get(key)
            if kept is None or kept.seen != host.seen or not now - _FRESH < kept.at <= now:
                begun += 1
                if begun % _ROWS == 0:
                    await asyncio.sleep(0)
                row = overview.row(host, models, chosen.condition)
                # What is fine has no ages, and is most of it.
                chips = kept.chips if kept is not None else Markup(self._chips.render(ready=row.ready))  # noqa: S704
                whole = Markup(self._row.render(row=row, chips=chips, now=now, chosen=chosen))  # noqa: S704
                kept = self._rendered[key] = _Rendered(now, host.seen, chips, whole)
            rendered[host.name] = kept.whole
        while len(self._rendered) > _KEPT:
            del self._rendered[next(iter(self._rendered))]
        return rendered

    def _links(self, chosen: Filter, label: str) -> Callable[..., str]:
        """Addresses of this view with something changed."""

        def link(**changed: object) -> str:
            query = {"condition": chosen.condition, "host": chosen.host, "model": chosen.model, "group": label}
            return address("/", **{**query, **changed})

        return link

    def _answer(self, request: Request, name: str, now: datetime, *, status: int = 200, **values: Any) -> Response:
        fleet = self._board.fleet
        text = self._pages.get_template(name).render(
            now=now,
            fleet=fleet,
            host_counts=self._tally.hosts,
            item_counts=self._tally.items,
            summary=overview.short_summary(self._tally.hosts, fleet.source.state),
            verdict=overview.verdict(self._tally.hosts, fleet.source.state),
            path=request.url.path,
            **values,
        )
        answer = Pieces([text.encode()], _HTML) if status == 200 else Response(text, status, media_type=_HTML)
        answer.headers["content-security-policy"] = PAGE_POLICY
        return answer


@cache
def _environment() -> Environment:
    """With every template compiled, since the loop would wait for that at the first request."""
    pages = Environment(
        loader=PackageLoader("fleet.daemon.listener", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    pages.globals.update(
        conditions=WORST, means=words.MEANS, bands=overview.bands, share=words.share, link=address, FAR=words.FAR
    )
    pages.filters.update(
        {
            name: getattr(words, name)
            for name in (
                *(
                    "ago",
                    "ahead",
                    "lasting",
                    "exact",
                    "in_full",
                    "lasted",
                    "why",
                    "reason",
                    "words",
                    "size",
                    "moved",
                    "rate",
                ),
                *("left", "revision", "labels", "age"),
            )
        }
    )
    for name in pages.list_templates(["html"]):
        pages.get_template(name)
    return pages
