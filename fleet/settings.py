"""Every setting of fleet: one frozen value, from defaults < settings file < OLLAMA_FLEET_* < flags.

Pure: sources come in as mappings, and `fleet.cli` alone reads the file and the environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TypeVar

from fleet.codes import Code
from fleet.errors import InputError
from fleet.foreign import clean
from fleet.quantities import InvalidQuantity, duration, exact_size, share, show_duration, size

PREFIX = "OLLAMA_FLEET_"
NOT_SETTINGS = ("SETTINGS", "E2E_HOST")
"""Variables with the prefix that are something else: the settings file, and the server that end-to-end tests use."""

T = TypeVar("T")


class Kind(StrEnum):
    """How a setting is written."""

    COUNT = "number"
    DURATION = "duration"
    SIZE = "size"
    SHARE = "number or percentage"
    FOLDER = "absolute path"
    FLAG = "true or false"
    FILE = "absolute path of a file"
    PATHS = "absolute paths, parted by `:`"
    TEXT = "text"
    COMMAND = "command"


def _setting(default: T, kind: Kind, about: str, *, least: float = 0) -> T:
    return field(default=default, metadata={"kind": kind, "about": about, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, durations in seconds and sizes in bytes."""

    parallelism: int = _setting(
        32,
        Kind.COUNT,
        "How many hosts are looked at or worked on at once; more gains little, since one process serves them all.",
        least=1,
    )
    connect_timeout: float = _setting(
        5.0,
        Kind.DURATION,
        "How long a connection may take, TLS included; a host further away than this is down for practical purposes.",
        least=0.001,
    )
    answer_deadline: float = _setting(
        15.0,
        Kind.DURATION,
        "How long a small reply may take in all, from first byte sent to last byte read, so that dripping counts as"
        " silence.",
        least=0.001,
    )
    stall_window: float = _setting(
        120.0,
        Kind.DURATION,
        "Over which a download must move `stall_floor`; else it is detached and taken up again where it stopped.",
        least=0.001,
    )
    stall_floor: int = _setting(
        1 << 20,
        Kind.SIZE,
        "What a download must move within `stall_window`; a byte now and then is a stall as well.",
    )
    pull_tries: int = _setting(
        5,
        Kind.COUNT,
        "How often one pull is begun before it counts as failed; each try goes on where the one before stopped, and one"
        " that moved at least `stall_floor` fills the count up again. One that stands still is begun at most four times"
        " without moving. What the server itself ends with an error,"
        " other than trouble with the registry, is begun at most `retry_tries` times without moving.",
        least=1,
    )
    retry_tries: int = _setting(
        3,
        Kind.COUNT,
        "How often a request that changes nothing is tried, and likewise a create, copy, load, unload or delete: one that"
        " broke off only after a new look at the host. More only delays the report of a host that is down.",
        least=1,
    )
    retry_wait: float = _setting(
        0.5,
        Kind.DURATION,
        "The longest wait before the second try, doubled for each further one; a random part of it is taken, so that"
        " many hosts behind one proxy do not come back together.",
    )
    silence: float = _setting(
        120.0,
        Kind.DURATION,
        "How long a stream may say nothing in ordinary phases; a working server speaks several times a second.",
        least=0.001,
    )
    verify_silence: float = _setting(
        1800.0,
        Kind.DURATION,
        "How long a pull may say nothing while the server verifies digests: tens of gigabytes are hashed in silence.",
        least=0.001,
    )
    create_silence: float = _setting(
        1800.0,
        Kind.DURATION,
        "How long a create may say nothing: many versions convert and write without a word.",
        least=0.001,
    )
    load_timeout: float = _setting(
        600.0,
        Kind.DURATION,
        "How long loading a model into memory may take in all; servers give up by themselves after five minutes"
        " without progress.",
        least=0.001,
    )
    unload_wait: float = _setting(
        600.0,
        Kind.DURATION,
        "How long a model may stay in memory after it was asked to leave; it stays while requests run on it.",
    )
    unsettled_wait: float = _setting(
        600.0,
        Kind.DURATION,
        "How long a host may go on with a pull or create that was left, by a run that was killed as well: until then"
        " nothing is deleted or replaced there, unless the same pull or create is made again first.",
    )
    poll_interval: float = _setting(
        0.25,
        Kind.DURATION,
        "How often a host is asked what is in memory while an unload is waited for.",
        least=0.001,
    )
    uploads: int = _setting(
        4,
        Kind.COUNT,
        "How many files are sent at once over the whole fleet; uploads of one file are sent together, so that it is"
        " read once for several hosts.",
        least=1,
    )
    ask_registries: bool = _setting(
        True,  # a field's default
        Kind.FLAG,
        "Whether fleet itself asks registries: for sizes before a pull, for tags that moved, for what was pushed."
        " Without, sizes are not known beforehand, and what came is compared afterwards alone.",
    )
    allow_unreachable: str = _setting(
        "0",
        Kind.SHARE,
        "How many of the selected hosts may be unobserved before the exit code tells; a percentage is rounded down.",
    )
    wait: float = _setting(
        0.0,
        Kind.DURATION,
        "How long hosts that do not answer yet are asked again at the start: for machines that are still booting.",
    )
    grace: float = _setting(
        20.0,
        Kind.DURATION,
        "How long what is under way may take to finish after the first interrupt; downloads are left at once"
        " and keep their bytes.",
    )
    lock_timeout: float = _setting(
        0.0,
        Kind.DURATION,
        "How long to wait while another run is at work on the same fleet; at once by default, so that runs do not"
        " pile up.",
    )
    state_dir: str = _setting(
        "",
        Kind.FOLDER,
        "Where fleet keeps what it remembers (`docs/state.md`): a folder that is private to the user, on a local disk."
        " Default: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/ollama-fleet`, else `~/.local/state/ollama-fleet`.",
    )
    """Never empty in what `resolve` gives."""
    credentials_dir: str | None = _setting(
        None,
        Kind.FOLDER,
        "Where credentials of hosts may lie besides the inventory's folder. Default: `$CREDENTIALS_DIRECTORY`, which"
        " systemd sets.",
    )
    credential_command: str | None = _setting(
        None,
        Kind.COMMAND,
        "Asked for secrets that the inventory wants from variables which are not set: it is run without a shell, with the"
        " variable's name behind its arguments, for at most 10 s, and writes the secret to its standard output, which is"
        " kept for five minutes and never shown. Of the environment it gets `PATH`, `HOME`, `USER`, `LOGNAME` and"
        " `XDG_RUNTIME_DIR`. No manifest and no inventory can name a command.",
    )
    manifests: str | None = _setting(
        None,
        Kind.PATHS,
        "Files and folders of manifests that `fleet daemon` reads; not beside `git_url`, whose repository has them.",
    )
    inventory: str | None = _setting(
        None,
        Kind.PATHS,
        "Files and folders of the inventory that `fleet daemon` reads: the operator's own, never from Git, unless"
        " `git_inventory` says so.",
    )
    lock_file: str | None = _setting(
        None,
        Kind.FILE,
        "The lock file that `fleet daemon` follows. Default: `ollama-fleet.lock` beside the first manifest.",
    )
    self_name: str | None = _setting(
        None, Kind.TEXT, "The host of the inventory that this machine is, where `fleet daemon` is to work on it alone."
    )
    interval: float = _setting(
        300.0,
        Kind.DURATION,
        "How long `fleet daemon` lets pass between two passes; each looks at every host, whatever happened before.",
        least=0.05,
    )
    jitter: str = _setting(
        "10%",
        Kind.SHARE,
        "How much of `interval` is taken off at random, as a percentage, so that many daemons do not act in step.",
    )
    calendar: str | None = _setting(
        None,
        Kind.TEXT,
        "Further times of passes, as crontab writes them (`30 2 * * mon-fri`), several parted by `;`.",
    )
    zone: str | None = _setting(
        None, Kind.TEXT, "The time zone of `calendar`, as `Europe/Berlin`. Default: that of the machine."
    )
    watch: bool = _setting(
        True,  # a field's default
        Kind.FLAG,
        "Whether a pass begins as soon as manifests or inventory change, once they are quiet.",
    )
    settle: float = _setting(
        2.0,
        Kind.DURATION,
        "How long files must have been quiet before a change is read; after fifteen times that they are read anyway.",
    )
    dry_run: bool = _setting(
        False,  # a field's default
        Kind.FLAG,
        "Whether `fleet daemon` looks and plans for ever and changes nothing.",
    )
    git_url: str | None = _setting(
        None, Kind.TEXT, "The repository that `fleet daemon` reads manifests from: `https`, `ssh`, `git` or `file`."
    )
    git_ref: str = _setting("main", Kind.TEXT, "The branch or tag that is followed.")
    git_path: str = _setting(".", Kind.TEXT, "The file or folder of the repository that is read, relative to its root.")
    git_inventory: str | None = _setting(
        None,
        Kind.TEXT,
        "The inventory in the repository, relative to its root: whoever may push may then name hosts and credentials.",
    )
    git_interval: float = _setting(
        60.0, Kind.DURATION, "How long lies between two looks at the repository; a hook shortens it.", least=0.05
    )
    git_timeout: float = _setting(
        120.0, Kind.DURATION, "How long one call of `git` may take, over the network too.", least=0.001
    )
    git_credentials_file: str | None = _setting(
        None, Kind.FILE, "A file with `USER:TOKEN` for an `https` repository, private to the user."
    )
    git_ssh_key_file: str | None = _setting(None, Kind.FILE, "The private key for an `ssh` repository.")
    git_known_hosts_file: str | None = _setting(
        None, Kind.FILE, "The keys of the `ssh` repository's host, as OpenSSH writes them; no others are accepted."
    )
    git_verify_file: str | None = _setting(
        None,
        Kind.FILE,
        "Public keys (OpenPGP, or allowed signers of SSH): only commits that one of them signed are followed.",
    )
    listen: str = _setting(
        "127.0.0.1:11433",
        Kind.TEXT,
        "Where `fleet daemon` serves page, status and metrics; `none` for nowhere. `fleet` itself uses a Unix socket in"
        " the folder of its record, which is always there.",
    )
    listen_names: str | None = _setting(
        None,
        Kind.TEXT,
        "Names by which browsers reach the listener besides this machine's own, as behind a proxy; parted by commas.",
    )
    token_file: str | None = _setting(
        None, Kind.FILE, "The token that whoever asks the listener to act must show; without it, nobody may by TCP."
    )
    hook_secret_file: str | None = _setting(
        None, Kind.FILE, "The secret of webhooks from GitHub, GitLab and Gitea; without it, there are none."
    )
    back_off: float = _setting(
        30.0,
        Kind.DURATION,
        "How long `fleet daemon` leaves an item alone after it failed for a reason that may pass, doubled for each"
        " further failure up to `back_off_most`.",
    )
    back_off_most: float = _setting(
        1800.0,
        Kind.DURATION,
        "The longest time for which an item is left alone, and how often one that needs a person is looked at anew.",
    )
    history_keep: int = _setting(
        1000, Kind.COUNT, "How many passes the history keeps; those that changed nothing go first.", least=1
    )
    metrics_file: str | None = _setting(
        None, Kind.FILE, "Where metrics are written after a pass, for the text-file collector of Prometheus."
    )


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written, and where: `settings.yaml:3:14`, `OLLAMA_FLEET_GRACE`, `--wait`."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for people: `value` is written as it could stand in a settings file; nothing where there is none."""

    name: str
    value: str | None
    source: str
    kind: Kind
    about: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and where each value is from, by name."""

    settings: Settings
    sources: Mapping[str, str]


def resolve(
    *,
    environment: Mapping[str, str],
    file: Mapping[str, Given] | None = None,
    flags: Mapping[str, Given] | None = None,
) -> Resolved:
    """Puts the sources together; the last that names a setting wins. Raises one `InputError` with every fault.

    `environment` is all of it: unknown variables with the prefix are faults, as a typing error would otherwise be
    ignored without a word. The default folders are read from it too.
    """
    layers = (file or {}, _from_environment(environment), flags or {})
    faults: list[str] = []
    values = _folders(environment)
    sources = {setting.name: "default" for setting in fields(Settings)}
    sources.update({name: f"${_folder_variable(name, environment)}" for name in values})
    for layer in layers:
        for name, given in layer.items():
            if name not in sources:
                faults.append(f"{given.source}: `{name}` is no setting{_nearest(name, given.source)}")
                continue
            try:
                values[name] = _read(name, given.value)
                sources[name] = given.source
            except InvalidQuantity as fault:
                faults.append(f"{given.source}: {name}: {fault}")
    if not values.get("state_dir") and not faults:
        faults.append("state_dir: there is no home folder to put it in (`$HOME` is not set)")
    if faults:
        many = f"{len(faults)} settings are wrong:\n  " if len(faults) > 1 else ""
        raise InputError(
            many + "\n  ".join(faults),
            code=Code.SETTINGS_WRONG,
            hint="`fleet settings` lists every setting, its unit and where its value is from",
        )
    return Resolved(Settings(**values), sources)  # type: ignore[arg-type]  # each was read by its own kind


def described(resolved: Resolved) -> tuple[Described, ...]:
    """Every setting in its order, with source and meaning."""
    return tuple(
        Described(
            setting.name,
            written(setting.metadata["kind"], getattr(resolved.settings, setting.name)),
            resolved.sources[setting.name],
            setting.metadata["kind"],
            setting.metadata["about"],
        )
        for setting in fields(Settings)
    )


def defaults() -> tuple[Described, ...]:
    """Every setting with its default; the folders have none that would be the same everywhere."""
    return described(Resolved(Settings(), {setting.name: "default" for setting in fields(Settings)}))


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def written(kind: Kind, value: object) -> str | None:
    """A value as it could stand in a settings file."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is Kind.DURATION and isinstance(value, float):
        return show_duration(value)
    if kind is Kind.SIZE and isinstance(value, int):
        return exact_size(value)
    return str(value)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    return {
        name.removeprefix(PREFIX).lower(): Given(value, name)
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in NOT_SETTINGS
    }


def _read(name: str, text: str) -> object:
    setting = next(setting for setting in fields(Settings) if setting.name == name)
    kind, least = setting.metadata["kind"], setting.metadata["least"]
    value: float | str
    if kind is Kind.SHARE:
        share(text, 0)
        return text
    if kind is Kind.FLAG:
        if text not in {"true", "false"}:
            raise InvalidQuantity(f"`{clean(text, 80)}` is neither `true` nor `false`")
        return text == "true"
    if kind in {Kind.FOLDER, Kind.FILE, Kind.PATHS}:
        for path in text.split(":") if kind is Kind.PATHS else [text]:
            if not path.startswith("/"):
                raise InvalidQuantity(f"`{clean(path, 200)}` is no absolute path")
        return text
    if kind is Kind.COMMAND:
        return _command(text)
    if kind is Kind.TEXT:
        if not text or not text.isprintable():
            raise InvalidQuantity("it is empty, or has characters that cannot be shown")
        return text
    if kind is Kind.COUNT:
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise InvalidQuantity(f"`{clean(text, 80)}` is no whole number")
        value = int(text)
    else:
        value = size(text) if kind is Kind.SIZE else duration(text)
    if value < least:
        raise InvalidQuantity(f"`{clean(text, 80)}` is less than {written(kind, least)}")
    return value


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:
        raise InvalidQuantity("its quotes are not closed") from None
    if not text.isprintable() or not words or not words[0].startswith("/"):
        raise InvalidQuantity(
            "it does not begin with the absolute path of a program, or has characters that cannot be shown"
        )
    return text


def _folders(environment: Mapping[str, str]) -> dict[str, object]:
    """The folders that the environment points to; systemd joins several by colons, the first one counts."""
    found: dict[str, object] = {}
    for name in ("state_dir", "credentials_dir"):
        given = _folder_variable(name, environment)
        if given:
            end = {"XDG_STATE_HOME": "/ollama-fleet", "HOME": "/.local/state/ollama-fleet"}.get(given, "")
            found[name] = environment[given].split(":")[0].rstrip("/") + end
    return found


def _folder_variable(name: str, environment: Mapping[str, str]) -> str | None:
    order = {"state_dir": ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"), "credentials_dir": ("CREDENTIALS_DIRECTORY",)}
    # The XDG specification has relative paths ignored.
    return next((given for given in order[name] if environment.get(given, "").startswith("/")), None)


def _nearest(name: str, source: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only a fault needs it

    near = get_close_matches(name, [setting.name for setting in fields(Settings)], n=1)
    if not near:
        return ""
    return f"; did you mean `{variable(near[0]) if source.startswith(PREFIX) else near[0]}`?"
