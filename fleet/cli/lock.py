"""`fleet lock`: writes down which content each pulled model stands for, to be reviewed and committed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fleet.errors import ExitCode
    from fleet.manifest.item import Desired
    from fleet.names import ModelName
    from fleet.reconcile.accepting import Acceptance
    from fleet.registry.locked import Locked
    from fleet.settings import Settings


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "lock",
        "Writes the lock file: the digest of each pulled model. Registries are asked for what is new in the manifests,"
        " what left them is dropped, and what is locked stays as it is.",
        epilog="Exit code 2 if `--check` found the file not up to date, 3 if a model could not be locked, 7 if hosts"
        " that were to be asked could not be looked at: nothing is written then.",
    )
    parser.add_argument(
        "--upgrade",
        nargs="*",
        metavar="NAME",
        help="move what is locked to what registries serve now: all models, or those named, globs included",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and exit with 2 if the file would change")
    parser.add_argument(
        "--from-hosts",
        action="store_true",
        help="lock what hosts hold, those that `-l` and `--host` choose, instead of what registries serve",
    )
    options.a_path(
        parser.add_argument(
            "--lock-file",
            metavar="FILE",
            help="the lock file; default `ollama-fleet.lock` beside the first manifest",
        )
    )
    options.sources(parser)
    options.hosts(parser.add_argument_group("which hosts", "For `--from-hosts`."))
    options.run_settings(parser)
    options.output(parser, ("text", "json"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, 2, 3 or 7. Raises `InputError`, `UsageError`, and `FleetError` where the file cannot be written."""
    from pathlib import Path

    from fleet.cli.configuration import settings_of
    from fleet.cli.loading import desired_of
    from fleet.cli.show_result import paint_of
    from fleet.cli.streams import data
    from fleet.manifest.files import default_paths
    from fleet.reconcile.accepted import lock_file
    from fleet.reconcile.locking import changes, entries
    from fleet.registry.lock import read_lock, same_lock, write_lock
    from fleet.render.lock import lock_document, lock_text
    from fleet.render.writing import written

    _check(arguments)
    settings = settings_of(arguments).settings
    desired = desired_of(arguments.files, arguments.inventory, arguments.self_name, dict(arguments.labels), settings)
    path = lock_file(arguments.lock_file, arguments.files or default_paths(Path()))
    there = path.exists()
    acceptance, asked = _accept(arguments, desired, read_lock(path) if there else {}, settings)
    models = entries(acceptance.decisions)
    missed = _missed(acceptance, asked, settings)
    if arguments.check:
        changed = changes(acceptance.decisions) or (there and not same_lock(path, models))
    else:
        changed = not missed and (there or bool(models)) and write_lock(path, models)
    code = _exit_code(acceptance, pending=arguments.check and changed, missed=missed)
    if arguments.output == "json":
        data(written(lock_document(acceptance, str(path), code, changed=changed, check=arguments.check)))
    else:
        paint, everything = paint_of(arguments), arguments.verbose
        data(
            lock_text(acceptance, str(path), changed=changed, check=arguments.check, paint=paint, everything=everything)
        )
    return code


def _check(arguments: argparse.Namespace) -> None:
    """Raises `UsageError` for options that do not go together."""
    from fleet.codes import Code
    from fleet.errors import UsageError

    if arguments.from_hosts and arguments.upgrade is not None:
        raise UsageError("`--upgrade` and `--from-hosts` exclude each other", code=Code.USAGE)
    if not arguments.from_hosts and (arguments.hosts or arguments.selector):
        raise UsageError("`-l` and `--host` choose hosts, and only `--from-hosts` asks any", code=Code.USAGE)


def _accept(
    arguments: argparse.Namespace, desired: Desired, lock: Mapping[ModelName, Locked], settings: Settings
) -> tuple[Acceptance, int]:
    """What the lock file is to have, and how many hosts were asked for that."""
    from datetime import UTC, datetime

    from fleet.cli.chosen import chosen
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.show_result import plain_listener
    from fleet.cli.suspended import without_suspended
    from fleet.reconcile.accepting import from_hosts, from_registries, without_asking

    today = datetime.now(UTC).date()
    if arguments.from_hosts:
        in_service = without_suspended(desired, settings)
        every = {name: wanted.host for name, wanted in in_service.hosts.items() if wanted.host.suspended is None}
        hosts = [desired.hosts[name] for name in chosen(every, arguments.hosts, arguments.selector)]
        asking = from_hosts(desired, hosts, lock, settings, today, plain_listener(arguments))
        return run_until_signal(asking), len(hosts)
    upgrade = _upgrade(arguments.upgrade, desired)
    if arguments.check and arguments.upgrade is None:
        return without_asking(desired, lock, today), 0
    return run_until_signal(from_registries(desired, lock, settings, today, upgrade)), 0


def _upgrade(globs: list[str] | None, desired: Desired) -> Callable[[ModelName], bool]:
    """Which models are to be moved. Raises `UsageError` for what no pulled model is called."""
    from fleet.codes import Code
    from fleet.errors import UsageError
    from fleet.manifest.faults import Misread, nearest, quoted
    from fleet.manifest.pattern import matches, parse_pattern
    from fleet.reconcile.pulled import pulled_of

    if globs is None:
        return lambda _: False
    if not globs:
        return lambda _: True
    names = [each.name for each in pulled_of(desired)]
    for glob in globs:
        try:
            parse_pattern(glob)
        except Misread as error:
            raise UsageError(f"`--upgrade`: {error}", code=Code.USAGE, hint=error.hint) from error
        if not any(matches(glob, name) for name in names):
            message = f"`--upgrade`: {quoted(glob)} is no model that is pulled"
            raise UsageError(message, code=Code.USAGE, hint=nearest(glob, map(str, names)))
    return lambda name: any(matches(glob, name) for glob in globs)


def _missed(acceptance: Acceptance, asked: int, settings: Settings) -> bool:
    """Whether more hosts could not be looked at than the settings allow: who knows what those hold."""
    from fleet.quantities import share

    return len(acceptance.unobserved) > share(settings.allow_unreachable, asked)


def _exit_code(acceptance: Acceptance, *, pending: bool, missed: bool) -> ExitCode:
    from fleet.errors import ExitCode, highest_ranked
    from fleet.reconcile.locking import Change

    failed = any(decision.change is Change.FAILED for decision in acceptance.decisions)
    found = {ExitCode.CHANGES_PENDING: pending, ExitCode.PARTIAL: failed, ExitCode.UNOBSERVED: missed}
    return highest_ranked(code for code, so in found.items() if so)
