"""The run of `fleet apply`: one lock, plan, consent, execution under signals, report."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from fleet import lookup
from fleet.cli.alone import alone
from fleet.cli.command import message_of
from fleet.cli.consent import ask, can_ask
from fleet.cli.deadline import NEVER, Deadline, DeadlineError, end_now
from fleet.cli.meanwhile import Meanwhile
from fleet.cli.planning import note, planned
from fleet.cli.recorded import record
from fleet.cli.show_result import listener_of, paint_of, show_report
from fleet.cli.streams import DataMeanwhile, coloured, data, is_terminal, talk
from fleet.cli.work import saved_arguments
from fleet.codes import Code
from fleet.errors import ExitCode, FleetError
from fleet.quantities import share, show_duration
from fleet.reconcile.progress import Listener
from fleet.reconcile.report import Report, exit_code
from fleet.reconcile.run import Pass, carry_out
from fleet.reconcile.saved import SavedPlan, aged, match
from fleet.reconcile.step import Plan, Step
from fleet.reconcile.stop import Stop
from fleet.render.plan import plan_text
from fleet.render.words import counted

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


def apply_work(
    work: Pass, arguments: argparse.Namespace, saved: SavedPlan | None = None, deadline: Deadline = NEVER
) -> int:
    """Plans, asks where that is due, carries out, reports.

    Raises `GuardError`, `LockError`, `StateError`, `DeadlineError` where the time was over before anything was begun,
    and `FleetError` at the very end for output or metrics that were lost.
    """
    settings = work.settings
    lines = DataMeanwhile()
    listener = listener_of(arguments, lines)
    with alone(settings, work.desired.name):
        plan = planned(work, listener, deadline)
        if saved is not None:
            plan = match(saved, plan)
            note(filter(None, [aged(saved, datetime.now(UTC))]))
        if arguments.verbose:
            talk(f"desired state: {work.fingerprint}\n")
        _show_before(plan, arguments, lines)
        if plan.steps and saved is None and not arguments.yes:
            with deadline.over("somebody was asked"):
                ask(plan)
        begun = datetime.now(UTC)
        told = saved_arguments(arguments) if saved is None else saved.arguments
        report = _carry_out(work, plan, listener, arguments, deadline, Meanwhile(told, settings))
        record(work, report, begun)
    lost = _metrics_lost(work, report, arguments)
    allowed = share(settings.allow_unreachable, len(plan.hosts))
    code = exit_code(report, allowed_unobserved=allowed, applied=True)
    show_report(report, code, arguments)
    note(each for each in report.notes if each not in plan.notes)
    if report.not_remembered is not None:
        talk(message_of(report.not_remembered))
    if report.interrupted is ExitCode.PARTIAL:
        talk(message_of(_passed(report, deadline)))
    lines.end()
    if lost is not None:
        raise lost
    return code


def _metrics_lost(work: Pass, report: Report, arguments: argparse.Namespace) -> FleetError | None:
    """Writes them where that is asked for, before all talk, and tells why they could not be written."""
    if arguments.metrics_file is None:
        return None
    from fleet.daemon.judging import statuses_of_report
    from fleet.daemon.metrics import Values
    from fleet.daemon.one_shot import write_one_shot

    now = datetime.now(UTC)
    try:
        fleet, hosts = statuses_of_report(report, work.desired, now)
        write_one_shot(Path(arguments.metrics_file), report, Values(fleet, hosts), now)
    except FleetError as error:
        return error
    return None


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


def _carry_out(
    work: Pass,
    plan: Plan,
    listener: Listener,
    arguments: argparse.Namespace,
    deadline: Deadline,
    enough: Callable[[Step], str | None],
) -> Report:
    """Even without steps: what was seen is remembered for the next pass."""
    former = {number: signal.getsignal(number) for number in _CODES}
    try:
        if not plan.steps or arguments.output == "jsonl" or not is_terminal(sys.stderr):
            return lookup.run(_under_signals(work, plan, listener, deadline, enough, talk))
        from fleet.render.live import Screen

        colour = coloured(sys.stderr, wanted=arguments.colour)
        with Screen(sys.stderr, time.monotonic, steps=len(plan.steps), colour=colour) as screen:
            return lookup.run(_under_signals(work, plan, screen, deadline, enough, screen.say, screen.close))
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


async def _under_signals(
    work: Pass,
    plan: Plan,
    listener: Listener,
    deadline: Deadline,
    enough: Callable[[Step], str | None],
    say: Callable[[str], None],
    close: Callable[[], None] = lambda: None,
) -> Report:
    """The first signal, or the deadline, asks the pass to stop; the second signal ends the process."""
    stop = Stop()

    def end(code: ExitCode, because: str = "") -> NoReturn:
        close()
        talk(f"ended at once{because}; the next run finds out how the last calls ended\n")
        end_now(code)

    def stopping(because: str) -> None:
        say(
            f"stopping{because}: nothing new is begun; downloads are left at once and keep their bytes, anything"
            f" else may take up to {show_duration(work.settings.grace)} to end; a second signal ends at once\n"
        )

    def asked(number: signal.Signals) -> None:
        if stop.requested:
            end(_CODES[number])
        stop.request(_CODES[number])
        stopping("")

    def closes() -> None:
        if not stop.requested:
            stop.request(ExitCode.PARTIAL)
            stopping(f" for the deadline of {deadline}")

    loop = asyncio.get_running_loop()
    for number in _CODES:
        loop.add_signal_handler(number, asked, number)
    deadline.watch(closes, lambda: end(stop.exit_code or ExitCode.PARTIAL, f" by the deadline of {deadline}"))
    report = await carry_out(work, plan, stop, listener, enough)
    cut = any(failure.code is Code.INTERRUPTED for failure in report.failures)
    # A deadline that found nothing left to begin took nothing away.
    return report if cut or report.interrupted is not ExitCode.PARTIAL else replace(report, interrupted=None)


def _passed(report: Report, deadline: Deadline) -> DeadlineError:
    return DeadlineError(
        f"the deadline of {deadline} came after {report.counts.done} of {counted(len(report.results), 'step')}",
        code=Code.INTERRUPTED,
        hint="the next run goes on from there, and downloads from the bytes that hosts keep; `--deadline` gives more time",
    )
