"""Looks at the machine that fleet runs on: credentials, the state folder, the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from fleet.manifest.inventory import Host
from fleet.reconcile.doctor.finding import About, Finding, Severity
from fleet.reconcile.doctor.surroundings import (
    files_in,
    of_environment,
    of_secret,
    of_state,
    secret_files,
    told_of,
    variables,
)
from fleet.settings import Settings
from fleet.state.memory import Memory, StateError


def of_machine(
    hosts: Sequence[Host], name: str, settings: Settings, environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What is to be said of it, for these hosts and the fleet of this name. Makes no file and no folder."""
    user = os.geteuid()
    for path in secret_files(hosts):
        yield from of_secret(path, told_of(path), user, settings.credentials_dir)
    if settings.credential_command is None:
        yield from variables(hosts, environment)
    yield from of_environment(environment)
    folder = told_of(settings.state_dir)
    unfit = [*of_state(folder, files_in(settings.state_dir), user)]
    yield from unfit
    if any(finding.severity is Severity.PROBLEM for finding in unfit):
        return  # the memory would say the same again
    try:
        with Memory(settings.state_dir, name) as memory:
            memory.remembered()
            notes = memory.notes
    except StateError as error:
        yield Finding(Severity.PROBLEM, About.STATE, str(error), error.hint or error.code.cure, code=error.code)
    else:
        for note in notes:
            yield Finding(Severity.WARNING, About.STATE, note, "nothing: fleet looks at the hosts anew")
