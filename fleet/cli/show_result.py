"""Writes plans and reports in the form that was asked for, and tells how a pass goes on while it runs."""

from __future__ import annotations

import argparse
import sys
import time

from fleet.cli.streams import DataMeanwhile, coloured, data, talk
from fleet.errors import ExitCode
from fleet.reconcile.progress import Listener
from fleet.reconcile.report import Report
from fleet.render.paint import Paint

_INTERVAL = 10.0
"""Seconds between two lines about the same step in a log."""


def paint_of(arguments: argparse.Namespace) -> Paint:
    return Paint(coloured(sys.stdout, wanted=arguments.colour))


def listener_of(arguments: argparse.Namespace, lines: DataMeanwhile) -> Listener:
    """JSON lines where those are asked for, else plain lines to stderr."""
    if arguments.output == "jsonl":
        from fleet.render.events import Lines

        return Lines(lines, time.monotonic, show_content=arguments.show_content)
    return plain_listener(arguments)


def plain_listener(arguments: argparse.Namespace) -> Listener:
    """Plain lines to stderr."""
    from fleet.render.plain import Plain

    return Plain(talk, time.monotonic, interval=_INTERVAL, everything=arguments.verbose)


def show_plan(report: Report, code: ExitCode, arguments: argparse.Namespace) -> None:
    """A mere plan, to stdout."""
    if arguments.output == "text":
        from fleet.render.plan import plan_text

        data(
            plan_text(
                report.plan,
                paint=paint_of(arguments),
                show_content=arguments.show_content,
                everything=arguments.verbose,
            )
        )
        return
    if arguments.output == "markdown":
        from fleet.render.markdown import plan_markdown

        data(plan_markdown(report.plan, show_content=arguments.show_content))
        return
    from fleet.render.document import plan_document
    from fleet.render.writing import in_one_line, written

    document = plan_document(report, code, show_content=arguments.show_content)
    data(written(document) if arguments.output == "json" else in_one_line(document))


def show_report(report: Report, code: ExitCode, arguments: argparse.Namespace) -> None:
    """A pass at its end, to stdout."""
    if arguments.output == "text":
        from fleet.render.report import report_text

        data(report_text(report, paint=paint_of(arguments), everything=arguments.verbose))
        return
    if arguments.output == "markdown":
        from fleet.render.markdown import report_markdown

        data(report_markdown(report, show_content=arguments.show_content))
        return
    from fleet.render.document import report_document
    from fleet.render.writing import in_one_line, written

    document = report_document(report, code, show_content=arguments.show_content)
    data(written(document) if arguments.output == "json" else in_one_line(document))
