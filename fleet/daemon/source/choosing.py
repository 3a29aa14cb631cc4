"""Which source the settings mean."""

from __future__ import annotations

from fleet.codes import Code
from fleet.daemon.source.directory import Directory
from fleet.daemon.source.git import Git
from fleet.daemon.source.git_address import address
from fleet.daemon.source.source import Source
from fleet.errors import InputError
from fleet.settings import Settings


def source_of(settings: Settings) -> Source:
    """Contacts nobody and reads nothing. Raises `InputError` for settings that do not go together."""
    inventory = tuple((settings.inventory or "").split(":")) if settings.inventory else ()
    if settings.git_url is None:
        if settings.manifests is None:
            raise _wrong(
                "nothing says where manifests come from", "name files and folders by `manifests`, or a `git_url`"
            )
        return Directory(settings, tuple(settings.manifests.split(":")), inventory)
    if settings.manifests is not None:
        raise _wrong("`manifests` and `git_url` exclude each other", "leave one of them out")
    if inventory and settings.git_inventory is not None:
        raise _wrong("`inventory` and `git_inventory` exclude each other", "leave one of them out")
    followed = address(settings.git_url, settings.git_ref, settings.git_path, settings.git_inventory)
    if settings.git_credentials_file is not None and followed.scheme != "https":
        raise _wrong(
            "`git_credentials_file` is for repositories at `https://` alone",
            "for `ssh`, name a key by `git_ssh_key_file`",
        )
    return Git(settings, followed, inventory)


def _wrong(text: str, hint: str) -> InputError:
    return InputError(text, code=Code.SETTINGS_WRONG, hint=hint)
