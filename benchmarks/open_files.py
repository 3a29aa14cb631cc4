"""Leave to open as many files as a thousand connections need."""

from __future__ import annotations

import resource


def allow_open_files(number: int = 4096) -> None:
    """Raises the soft limit of this process to `number`, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
