"""`fleet why HOST [MODEL]`: which entry decides, and what is not so yet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from fleet.manifest.item import Desired, HostDesired
    from fleet.names import ModelName
    from fleet.reconcile.report import Report
    from fleet.render.held_back import HeldBack


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "why",
        "Tells which entry, override and selector decide about a model on a host, where they are written, and what is"
        " not as declared yet. Without a model, about all that is asked of the host.",
    )
    parser.add_argument("host", metavar="HOST", help="a host of the inventory")
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a model name, in any of its spellings")
    options.sources(parser)
    options.contents(parser)
    options.run_settings(parser)
    options.output(parser, ("text", "json"), content=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code by `design.md` 10, as of a plan for that host, or that model alone. Raises `UsageError` for an unknown host or model."""
    from dataclasses import replace

    from fleet.cli.configuration import settings_of
    from fleet.cli.planning import surveyed
    from fleet.cli.selection import host_of
    from fleet.cli.show_result import paint_of, plain_listener
    from fleet.cli.streams import data
    from fleet.cli.work import saved_arguments, work_of
    from fleet.quantities import share
    from fleet.reconcile.report import exit_code
    from fleet.reconcile.run import Selection, report_of
    from fleet.render.held_back import held_back
    from fleet.render.why import why_document, why_text
    from fleet.render.writing import written

    settings = settings_of(arguments).settings
    model = None if arguments.model is None else _model(arguments.model)
    work = work_of(saved_arguments(arguments), settings, arguments).work
    desired = host_of(arguments.host, work.desired)
    only = replace(work, selection=Selection(hosts=(desired.host.name,)))
    report = report_of(surveyed(only, plain_listener(arguments)))
    found, held = report.plan.hosts[0], held_back(report.plan)
    if arguments.output == "json":
        text = written(why_document(desired, found, model, held=held, show_content=arguments.show_content))
    else:
        text = why_text(
            desired,
            found,
            model,
            policy=work.desired.policy,
            held=held,
            paint=paint_of(arguments),
            show_content=arguments.show_content,
        )
    data(text or _nothing(desired, model, work.desired))
    allowed = share(settings.allow_unreachable, 1)
    return exit_code(_about(report, model, held), allowed_unobserved=allowed, applied=False)


def _about(report: Report, model: ModelName | None, held: HeldBack) -> Report:
    """The report as far as it is about one model: what the rest of the host is refused is no answer to the question."""
    from dataclasses import replace

    if model is None:
        return report
    plan = replace(
        report.plan,
        refused=tuple(refusal for (_, name), refusal in held.items() if name == model),
        blocked=tuple(item for item in report.plan.blocked if item.model == model),
    )
    return replace(report, plan=plan, after=plan)


def _model(text: str) -> ModelName:
    from fleet.codes import Code
    from fleet.errors import UsageError
    from fleet.names import InvalidName, ModelName

    try:
        return ModelName.parse(text)
    except InvalidName as error:
        raise UsageError(str(error), code=Code.USAGE, hint=error.hint) from error


def _nothing(desired: HostDesired, model: ModelName | None, fleet: Desired) -> str:
    """No entry reaches the host: which ones there are elsewhere is the next question."""
    from fleet.render.words import name, some

    host = desired.host.name
    if model is None:
        return f"nothing is asked of {host}\n"
    elsewhere = [other for other, each in fleet.hosts.items() if any(item.name == model for item in each.items)]
    where = f"; it is declared for {some(elsewhere)}" if elsewhere else "; no entry names it"
    return f"{name(model)} is not declared for {host}, so it is left as it is{where}\n"
