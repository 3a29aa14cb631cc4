"""The operator's part of the format: hosts, groups, registries, policy."""

from __future__ import annotations

from typing import Final

from fleet.manifest.address import check_template, registry_url
from fleet.manifest.inventory import Auth, NamePattern, Prune, Secret, Tls, Update
from fleet.manifest.ranges import MOST_HOSTS
from fleet.manifest.record import Fields, Key, ListOf, MapOf, OrEmpty, Record, ScalarOr
from fleet.manifest.shape import Choice, Flag, JsonSchema, Parsed, Reader, Shape, Text, Whole
from fleet.manifest.tree import Node, Scalar
from fleet.manifest.words import (
    GROUP,
    HEADER,
    LABEL_VALUE,
    MODEL,
    PATTERN,
    SIZE,
    VARIABLE,
    Suspension,
    group_key,
    host_key,
    label_key,
    path_template,
    path_text,
    registry_key,
)

LOCK_FILE: Final = "the lock file is written by `fleet lock` and followed by `update: locked`"
ADDRESS = Parsed("an address", check_template)
PATH = Parsed("a path", path_template)

BEARER_FILE: Final = Key("bearer_file", PATH, "A file with the token to send as `Authorization: Bearer`.")
BEARER_ENV: Final = Key("bearer_env", VARIABLE, "The environment variable with that token.")
USERNAME: Final = Key("username", Text(), "The user's name.", needed=True)
PASSWORD_FILE: Final = Key("password_file", PATH, "A file with the password.")
PASSWORD_ENV: Final = Key("password_env", VARIABLE, "The environment variable with the password.")
HEADER_NAME: Final = Key("name", HEADER, "The header to send.", needed=True)
VALUE_FILE: Final = Key("value_file", PATH, "A file with the header's value.")
VALUE_ENV: Final = Key("value_env", VARIABLE, "The environment variable with the header's value.")
BASIC: Final = Key("basic", Record(USERNAME, PASSWORD_FILE, PASSWORD_ENV), "User name and password.")
OWN_HEADER: Final = Key("header", Record(HEADER_NAME, VALUE_FILE, VALUE_ENV), "A header of its own.")


class _Auth(Shape[Auth]):
    """One way to prove oneself, with exactly one source for the secret."""

    wants = "a map"
    record = Record(BEARER_FILE, BEARER_ENV, BASIC, OWN_HEADER)

    def read(self, node: Node, path: str, reader: Reader) -> Auth:
        if isinstance(node, Scalar) and not node.null:
            # What was written here may be the secret itself: it is not repeated.
            raise reader.wrong(node.mark, path, "wants a map that says where the secret is, as `bearer_file: PATH`")
        fields = self.record.read(node, path, reader)
        basic, header = fields[BASIC], fields[OWN_HEADER]
        bearer = fields[BEARER_FILE] is not None or fields[BEARER_ENV] is not None
        if bearer + (basic is not None) + (header is not None) != 1:
            raise reader.wrong(node.mark, path, "wants one of `bearer_file`, `bearer_env`, `basic`, `header`")
        if basic is not None:
            secret = self._secret(basic, PASSWORD_FILE, PASSWORD_ENV, node, f"{path}.basic", reader)
            return Auth("basic", secret, username=basic[USERNAME])
        if header is not None:
            secret = self._secret(header, VALUE_FILE, VALUE_ENV, node, f"{path}.header", reader)
            return Auth("header", secret, header=header[HEADER_NAME])
        return Auth("bearer", self._secret(fields, BEARER_FILE, BEARER_ENV, node, path, reader))

    @staticmethod
    def _secret(fields: Fields, file: Key[str], variable: Key[str], node: Node, path: str, reader: Reader) -> Secret:
        if (fields[file] is None) == (fields[variable] is None):
            raise reader.wrong(node.mark, path, f"wants one of `{file.name}` and `{variable.name}`")
        return Secret(file=fields[file], environment=fields[variable])

    def schema(self) -> JsonSchema:
        return self.record.schema()


CA_FILE: Final = Key("ca_file", PATH, "The certificates that may sign the host's, in PEM.")
CERT_FILE: Final = Key("cert_file", PATH, "Our own certificate, in PEM.")
KEY_FILE: Final = Key("key_file", PATH, "The key of our own certificate, in PEM.")
SERVER_NAME: Final = Key("server_name", Text(), "The name that the host's certificate must carry.")
TLS_KEYS: Final = (CA_FILE, CERT_FILE, KEY_FILE, SERVER_NAME)

DISK: Final = Key("disk", SIZE, "Room for models in all, as `800GiB`.")
VRAM: Final = Key("vram", SIZE, "Memory for models in all, as `80GB` or `48GiB`.")
LOADED: Final = Key("loaded", Whole(1), "How many models may be in memory at once.")

URL: Final = Key("url", ADDRESS, "The address, by the rules of OLLAMA_HOST; `{name}` stands for the host's name.")
LABELS: Final = Key("labels", MapOf(LABEL_VALUE, label_key), "What selectors choose by.")
AUTH: Final = Key("auth", _Auth(), "How to prove oneself to a proxy before the host.")
TLS: Final = Key("tls", Record(*TLS_KEYS), "Whom to trust, and our own certificate.")
CAPACITY: Final = Key("capacity", Record(DISK, VRAM, LOADED), "What the host can hold.")
SUSPEND: Final = Key("suspend", Suspension(), "`true` or a reason: the host is observed and shown, never changed.")
EPHEMERAL: Final = Key("ephemeral", Flag(), "The host may rightly lose all its models between two passes.")
MARKER: Final = Key("marker", MODEL, "A model that this machine alone lists; a machine without it is not changed.")
IN_GROUP: Final = Key("group", GROUP, "The group whose settings hold where the host says nothing else.")

_SHARED: Final = (URL, LABELS, AUTH, TLS, CAPACITY, SUSPEND, EPHEMERAL)
HOST: Final = Record(*_SHARED, MARKER, IN_GROUP)
HOSTS: Final = Key(
    "hosts",
    MapOf(ScalarOr(ADDRESS, HOST), host_key, most=MOST_HOSTS, salvage=True),
    "The Ollama servers by name: an address, or a map. `tyo-[01:16]` makes sixteen.",
)
GROUPS: Final = Key(
    "groups", MapOf(Record(*_SHARED), group_key, salvage=True), "What the hosts of a group have in common."
)

INSECURE: Final = Key("insecure", Flag(), "The registry speaks plain HTTP.")
MIRROR: Final = Key(
    "mirror",
    Parsed("a registry", registry_key),
    "The registry that hosts pull from in its place, as `mirror.lan:5000`.",
)
REGISTRY_URL: Final = Key(
    "url",
    Parsed("an address", registry_url),
    "Where fleet itself asks the registry, in place of `https://` and its name.",
)
REGISTRIES: Final = Key(
    "registries",
    MapOf(OrEmpty(Record(INSECURE, MIRROR, REGISTRY_URL)), registry_key, salvage=True),
    "The registries that models may be pulled from. Where this is written, no other may be used.",
)

UPDATE: Final = Key("update", Choice(*Update), "When a pulled model that is there counts as current.")
PRUNE: Final = Key("prune", Choice(*Prune), "Which models that nobody declares go.")
PROTECT: Final[Key[tuple[NamePattern, ...]]] = Key("protect", ListOf(PATTERN), "Names that are never deleted.")
MAX_DELETES: Final = Key("max_deletes", Whole(0), "How many models one host may lose in one pass.")
_PINS: Final = {
    "pin": "`pin` belongs under `pull` of a model",
    "lock": LOCK_FILE,
    "lockfile": LOCK_FILE,
}
POLICY: Final = Key(
    "policy", Record(UPDATE, PRUNE, PROTECT, MAX_DELETES, elsewhere=_PINS), "Guards of the whole fleet."
)

FILE_ROOTS: Final = Key(
    "file_roots",
    ListOf(Parsed("a path", path_text)),
    "Folders besides the manifest's own from which texts and weights may be read.",
)


def tls_of(fields: Fields) -> Tls:
    return Tls(fields[CA_FILE], fields[CERT_FILE], fields[KEY_FILE], fields[SERVER_NAME])
