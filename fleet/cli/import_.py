"""`fleet import`: manifests written from what running hosts hold.

The verb is a word of Python's own, which no module that is imported by name can be called.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fleet.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fleet.manifest.inventory import Host
    from fleet.manifest.item import Desired
    from fleet.names import HostName
    from fleet.reconcile.inside import Inside
    from fleet.reconcile.observed import Unobserved
    from fleet.render.imported import Imported
    from fleet.settings import Settings

_INVENTORY, _MANIFEST = "hosts.yaml", "models.yaml"


def add_parser(subparsers: Any) -> None:
    """Registers the verb with argparse's subparsers."""
    parser = options.new_parser(
        subparsers,
        "import",
        "Looks into hosts and writes the manifests that ask for just what they hold: models that several hosts have"
        " in common are written once, those made from others as `create` wherever the host shows enough to prove it,"
        " names of equal content as aliases. What is written plans to nothing to do. No host is changed.",
        epilog="Without any host named, the one that OLLAMA_HOST means is looked into.",
    )
    parser.add_argument(
        "named",
        nargs="*",
        type=_named,
        metavar="NAME=URL",
        help="a host to look into; an inventory of these is written as well",
    )
    group = parser.add_argument_group("hosts of an inventory, instead")
    options.a_path(
        group.add_argument(
            "-i",
            dest="inventory",
            action="append",
            default=[],
            metavar="PATH",
            help="the inventory: a file or a folder",
        )
    )
    options.hosts(group)
    group = parser.add_argument_group("output")
    options.a_path(
        group.add_argument(
            "--out",
            default="-",
            metavar="PATH",
            help=f"a folder for `{_MANIFEST}`, `{_INVENTORY}` and long texts, a single file that ends in `.yaml`, or `-`"
            " for standard output; default `-`",
        )
    )
    group.add_argument("--force", action="store_true", help="replace files that are there already")
    group = parser.add_argument_group("settings")
    options.settings_file(group)
    options.how_many(group)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 if every chosen host was looked into, else 7, with the rest written. Raises `UsageError`, `InputError`, and
    `GuardError` for files that are there.
    """
    from fleet.cli.configuration import settings_of
    from fleet.cli.interruptible import run_until_signal
    from fleet.cli.streams import talk
    from fleet.errors import ExitCode
    from fleet.quantities import share
    from fleet.reconcile.inside import Inside, look_inside_all
    from fleet.reconcile.observed import Unobserved
    from fleet.render.words import name, unobserved_lines

    settings = settings_of(arguments).settings
    target = _Target(arguments)
    known, chosen, desired = _hosts(arguments, settings)

    def seen(host: HostName, found: Inside | Unobserved) -> None:
        if isinstance(found, Unobserved):
            talk(f"{name(host)}: {unobserved_lines(found)[0]}\n")

    found = run_until_signal(look_inside_all(chosen.values(), settings, seen))
    insides = [each for each in found.values() if isinstance(each, Inside)]
    unobserved = tuple(each for each in found.values() if isinstance(each, Unobserved))
    if insides:
        target.write(_composed(insides, unobserved, known, arguments, target, desired))
    missed = len(unobserved) > share(settings.allow_unreachable, len(chosen))
    return ExitCode.UNOBSERVED if missed or not insides else ExitCode.AS_DESIRED


def _hosts(
    arguments: argparse.Namespace, settings: Settings
) -> tuple[Mapping[HostName, Host], Mapping[HostName, Host], Desired | None]:
    """All hosts that there are, those to look into, and the inventory if there is one."""
    import os

    from fleet.cli.chosen import chosen
    from fleet.cli.loading import desired_of
    from fleet.codes import Code
    from fleet.errors import UsageError
    from fleet.manifest.address import check_address
    from fleet.manifest.faults import Misread
    from fleet.manifest.here import COMMAND_LINE, LOCAL
    from fleet.manifest.inventory import Host
    from fleet.names import HostName

    if arguments.inventory:
        if arguments.named:
            raise UsageError("hosts are named on the command line or by `-i`, not by both", code=Code.USAGE)
        # Read as one that says everything: no manifest is needed to look into hosts.
        desired = desired_of(arguments.inventory, (), None, {}, settings)
        every = {name: wanted.host for name, wanted in desired.hosts.items()}
        return every, chosen(every, arguments.hosts, arguments.selector), desired
    if arguments.hosts or arguments.selector is not None:
        raise UsageError("`--host` and `-l` choose hosts of an inventory, and need `-i`", code=Code.USAGE)
    found: dict[str, Host] = {}
    for name, url in arguments.named:
        if name.lower() in found:
            raise UsageError(f"the host `{name}` is named twice", code=Code.USAGE)
        found[name.lower()] = Host(HostName(name), url, COMMAND_LINE)
    if not found:
        try:
            address = check_address(os.environ.get("OLLAMA_HOST", ""), lenient=True)
        except Misread as error:
            raise UsageError(f"$OLLAMA_HOST: {error}", code=Code.USAGE, hint=error.hint) from error
        found[LOCAL] = Host(LOCAL, address, COMMAND_LINE)
    hosts = {host.name: host for host in found.values()}
    return dict(sorted(hosts.items())), hosts, None


def _composed(
    insides: list[Inside],
    unobserved: tuple[Unobserved, ...],
    known: Mapping[HostName, Host],
    arguments: argparse.Namespace,
    target: _Target,
    desired: Desired | None,
) -> Imported:
    from fleet.manifest.inventory import Update
    from fleet.reconcile.importing.entries import draft
    from fleet.reconcile.importing.origin import Allowed
    from fleet.render.imported import Told, imported

    allowed = Allowed(None if desired is None else desired.registries, files=target.folder is not None)
    told = Told(
        hosts={name: host.url for name, host in known.items()} if arguments.named else {},
        apart=target.apart,
        looked_into=len(insides),
        unobserved=unobserved,
        explicit_update=desired is not None and desired.policy.update is not Update.MISSING,
    )
    return imported(draft(insides, known, allowed), told)


class _Target:
    """Where the files go: a folder, one file with what belongs beside it, or stdout."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Raises `GuardError` at once for what is there, rather than after all hosts were asked."""
        from pathlib import Path

        from fleet.cli.new_files import refuse_existing

        out: str = arguments.out
        self.folder: Path | None = None
        self.apart = False
        self._name = _MANIFEST
        self._force: bool = arguments.force
        self._inventory = bool(arguments.named)
        self._given: list[str] = arguments.inventory
        if out == "-":
            return
        path = Path(out)
        self.apart = path.is_dir() or path.suffix not in {".yaml", ".yml"}
        self.folder = path if self.apart else path.parent
        self._name = _MANIFEST if self.apart else path.name
        if not self._force:
            names = [self._name, *([_INVENTORY] if self.apart and self._inventory else [])]
            refuse_existing(self.folder / name for name in names)

    def write(self, made: Imported) -> None:
        """Raises `FleetError`."""
        from fleet.cli.new_files import write_files
        from fleet.cli.streams import data, talk
        from fleet.codes import Code
        from fleet.errors import FleetError
        from fleet.manifest.files import MOST_BYTES
        from fleet.render.words import some

        if self.folder is None:
            data(made.manifest)
            return
        files = {self._name: made.manifest.encode(), **made.texts}
        if made.inventory is not None:
            files[_INVENTORY] = made.inventory.encode()
        too_large = next((name for name, content in files.items() if len(content) > MOST_BYTES), None)
        if too_large is not None:
            raise FleetError(
                f"`{too_large}` would be larger than the {MOST_BYTES >> 20} MiB that fleet reads of a file",
                code=Code.FILE_KEPT,
                hint="import some of the hosts at a time, by `--host` or `-l`",
            )
        write_files(self.folder, files, force=self._force)
        shown = [str(self.folder / name) for name in files]
        inventories = [str(self.folder / _INVENTORY)] if made.inventory is not None else self._given
        options = "".join(f" -i {path}" for path in inventories)
        talk(f"written: {some(shown, 5)}\n")
        talk(f"`fleet plan{options} -f {self.folder / self._name}` shows that there is nothing to do\n")


def _named(text: str) -> tuple[str, str]:
    from fleet.manifest.address import check_address
    from fleet.manifest.faults import Misread
    from fleet.names import HostName, InvalidName

    name, equals, url = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is no NAME=URL")
    try:
        return HostName.parse(name), check_address(url)
    except (InvalidName, Misread) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
