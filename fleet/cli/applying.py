"""The run of `fleet apply`: one lock, plan, consent, execution under signals, report."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable

from fleet.cli.alone import alone
from fleet.cli.command import message_of
from fleet.cli.consent import ask, can_ask
from fleet.cli.planning import note, planned
from fleet.cli.show_result import listener_of, paint_of, show_report
from fleet.cli.streams import DataMeanwhile, coloured, data, is_terminal, talk
from fleet.errors import ExitCode
from fleet.quantities import share, show_duration
from fleet.reconcile.progress import Listener
from fleet.reconcile.report import Report, exit_code
from fleet.reconcile.run import Pass, carry_out
from fleet.reconcile.saved import SavedPlan, match
from fleet.reconcile.step import Plan
from fleet.reconcile.stop import Stop
from fleet.render.plan import plan_text

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


def apply_work(work: Pass, arguments: argparse.Namespace, saved: SavedPlan | None = None) -> int:
    """Plans, asks where that is due, carries out, reports.

    Raises `GuardError`, `LockError`, `StateError`, and `FleetError` at the very end for output that was lost.
    """
    settings = work.settings
    lines = DataMeanwhile()
    listener = listener_of(arguments, lines)
    with alone(settings, work.desired.name):
        plan = planned(work, listener)
        if saved is not None:
            plan = match(saved, plan)
        _show_before(plan, arguments, lines)
        if plan.steps and saved is None and not arguments.yes:
            ask(plan)
        report = _carry_out(work, plan, listener, arguments)
    allowed = share(settings.allow_unreachable, len(plan.hosts))
    code = exit_code(report, allowed_unobserved=allowed, applied=True)
    show_report(report, code, arguments)
    note(each for each in report.notes if each not in plan.notes)
    if report.not_remembered is not None:
        talk(message_of(report.not_remembered))
    lines.end()
    return code


def _show_before(plan: Plan, arguments: argparse.Namespace, lines: DataMeanwhile) -> None:
    """The plan as text: beside the data where the report alone is data, and only if somebody will be asked about it."""
    if arguments.output == "jsonl":
        from fleet.render.document import planned_document
        from fleet.render.writing import in_one_line

        lines(in_one_line(planned_document(plan, show_content=arguments.show_content)))
    if not plan.steps:
        return
    text = plan_text(plan, paint=paint_of(arguments), show_content=arguments.show_content, everything=arguments.verbose)
    if arguments.output == "text":
        data(text + "\n")
    elif can_ask() and not arguments.yes:
        talk(text + "\n")


def _carry_out(work: Pass, plan: Plan, listener: Listener, arguments: argparse.Namespace) -> Report:
    """Even without steps: what was seen is remembered for the next pass."""
    former = {number: signal.getsignal(number) for number in _CODES}
    try:
        if not plan.steps or arguments.output == "jsonl" or not is_terminal(sys.stderr):
            return asyncio.run(_under_signals(work, plan, listener, talk))
        from fleet.render.live import Screen

        colour = coloured(sys.stderr, wanted=arguments.colour)
        with Screen(sys.stderr, time.monotonic, steps=len(plan.steps), colour=colour) as screen:
            return asyncio.run(_under_signals(work, plan, screen, screen.say, screen.close))
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


async def _under_signals(
    work: Pass,
    plan: Plan,
    listener: Listener,
    say: Callable[[str], None],
    close: Callable[[], None] = lambda: None,
) -> Report:
    """The first signal asks the pass to stop, the second ends the process."""
    stop = Stop()

    def asked(number: signal.Signals) -> None:
        if stop.requested:
            close()
            talk("ended at once; the next run finds out how the last calls ended\n")
            os._exit(_CODES[number])
        stop.request(_CODES[number])
        say(
            "stopping: nothing new is begun; downloads are left at once and keep their bytes, uploads, creates and loads"
            f" may take up to {show_duration(work.settings.grace)} to end; a second signal ends at once\n"
        )

    loop = asyncio.get_running_loop()
    for number in _CODES:
        loop.add_signal_handler(number, asked, number)
    return await carry_out(work, plan, stop, listener)
