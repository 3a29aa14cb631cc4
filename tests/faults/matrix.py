"""The fault matrix: everything that is expected to break, a row each, and what fleet makes of it.

Rows keep their short names for ever. A row that is neither deferred nor argued is proven by at least one test that says
so: `@pytest.mark.fault("N1")`, wherever the test stands. `docs/reliability.md` is made of this and of those marks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Verdict(StrEnum):
    """What becomes of a fault."""

    SURVIVED = "survived"
    """What was usable stays so, what is reported is true, and the run or the next one ends as desired once it is over."""
    REFUSED = "refused"
    """fleet does not do what it was asked to, says why, and how to allow or mend it."""
    DEFERRED = "deferred"
    """Of something that is not built yet."""
    ARGUED = "argued"
    """It cannot be tried on one machine."""


class Row(NamedTuple):
    """One fault."""

    name: str
    fault: str
    verdict: Verdict
    why: str = ""
    """Of a row that no test proves: the reason, and what was done instead."""


S, R, D, A = Verdict.SURVIVED, Verdict.REFUSED, Verdict.DEFERRED, Verdict.ARGUED

GROUPS: Final[dict[str, tuple[Row, ...]]] = {
    "Reaching a host": (
        Row("N1", "nothing listens at the address", S),
        Row("N2", "packets to the host vanish", S),
        Row("N3", "names are not resolved, or slowly", S),
        Row("N4", "the name leads to another machine now", R),
        Row("N5", "a certificate that is not to be trusted", R),
        Row("N6", "a certificate that is about to expire", S),
        Row("N7", "a credential that is refused or was rotated", S),
        Row("N8", "the server refuses the Host header", R),
        Row("N9", "a redirect", R),
        Row("N10", "another service answers with 200", R),
        Row("N11", "proxies and credentials in the environment", S),
        Row("N12", "a reply that breaks off", S),
        Row("N13", "429 with any Retry-After", S),
        Row("N14", "some answers of 5xx, then a good one", S),
        Row("N15", "one of several addresses is dead", S),
        Row(
            "N16",
            "half of the fleet is down",
            D,
            "there are no waves yet, and no budget of failures after which no further host is begun; that hosts which"
            " are down hold no other up is N1",
        ),
        Row("N17", "one very slow host", S),
        Row("N18", "very many hosts at once", S),
    ),
    "Streams": (
        Row("S1", "an error line in a stream that began with 200", S),
        Row("S2", "an error instead of a stream", S),
        Row("S3", "a stream that is cut", S),
        Row("S4", "a stream that ends cleanly without success", S),
        Row("S5", "a stalled download that goes on telling progress", S),
        Row("S6", "a long silent phase that is none", S),
        Row("S7", "a reply that drips", S),
        Row("S8", "success, and the connection stays open", S),
        Row("S9", "lines that are endless, blank, or oddly separated", S),
        Row("S10", "bytes that are no text", S),
        Row("S11", "JSON of wrong types and sizes", S),
        Row("S12", "progress that makes no sense", S),
        Row("S13", "huge and compressed bodies", S),
        Row("S14", "unknown and missing fields", S),
        Row("S15", "terminal escapes and the like in texts", S),
        Row("S16", "one name twice in a listing", R),
        Row("S17", "a listing that changes while it is read", S),
    ),
    "Blobs and create": (
        Row("U1", "a reset during an upload", S),
        Row("U2", "an answer before the upload is over", S),
        Row("U3", "the server finds another digest", S),
        Row("U4", "a file that changes while it is hashed or sent", S),
        Row("U5", "a file that is no file of weights", R),
        Row("U6", "a path that leads out of its roots", R),
        Row("U7", "a proxy that takes no large bodies", S),
        Row("U8", "a blob that vanishes before the create", S),
        Row("U9", "whether a created model is up to date", S),
        Row("U10", "a base that is not there", R),
        Row("U11", "a create that hangs or is cut", S),
        Row("U12", "the host's disk is full", S),
        Row("U13", "two models need the same blob", S),
        Row("U14", "a cached digest of a file that changed", S),
        Row("U15", "one blob for a thousand hosts", S),
    ),
    "What hosts do": (
        Row("H1", "a delete of a model in memory", S),
        Row("H2", "a delete or overwrite beside an unfinished pull", S),
        Row("H3", "a pull that goes on after it was abandoned", S),
        Row("H4", "a host that restarts during a pull", S),
        Row("H5", "a damaged image manifest", S),
        Row("H6", "a poisoned download after a full disk", S),
        Row("H7", "a model that is listed and not usable", S),
        Row("H8", "a host that lists nothing all at once", R),
        Row("H9", "another machine at the same address", R),
        Row("H10", "two names of one host", R),
        Row("H11", "a version that is old, unknown or none", S),
        Row("H12", "a host that is upgraded during the run", S),
        Row("H13", "somebody else changes the host after the plan", S),
        Row("H14", "what is to be deleted or copied is gone", S),
        Row("H15", "blobs that no model uses", S),
        Row("H16", "cloud stubs", R),
        Row("H17", "a listing that fails while something is deleted", S),
        Row("H18", "a model folder that cannot be written", S),
    ),
    "Registries": (
        Row("R1", "no such model", S),
        Row("R2", "a private model", S),
        Row("R3, R4", "a registry that is overloaded or down", S),
        Row("R5", "a tag that moves under a pin", R),
        Row("R6", "hosts with different contents of one tag", S),
        Row("R7", "a model for newer servers", S),
        Row("R8", "a registry that nobody allowed", R),
        Row("R9", "a pull that replaces a model in use", S),
        Row("R10", "signed addresses in error texts", S),
    ),
    "The desired state": (
        Row("D1", "one broken file among many", R),
        Row("D2", "a key twice", R),
        Row("D3", "documents made to exhaust the reader", R),
        Row("D4", "values that YAML takes for something else", S),
        Row("D5", "other encodings and hidden characters", R),
        Row("D6", "files that are missing, or most of the state", R),
        Row("D7", "a checkout that is half written", S),
        Row("D8", "manifests that change during the run", S),
        Row("D9", "entries that contradict each other", R),
        Row("D10", "aliases in a circle", R),
        Row("D11", "an alias of what is missing or going", S),
        Row("D12", "one name in several spellings", R),
        Row("D13", "a reload of broken manifests", S),
        Row("D14", "storms of file changes, and none at all", S),
        Row("D15", "trouble with Git", S),
        Row("D16", "too many or too large files", R),
        Row("D17", "a secret in a manifest", R),
        Row("D18", "unknown versions and fields", R),
        Row("D19", "a hostile address or path", R),
        Row("D20", "a host that left the inventory", S),
    ),
    "Plan and apply": (
        Row("P1", "a saved plan that no longer fits", R),
        Row("P2", "a saved plan that was altered", R),
        Row("P3", "a run that stops half-way", S),
        Row("P4", "deletes that free nothing", S),
        Row("P5", "a protected model in danger", R),
        Row("P6", "too many deletes", R),
        Row("P7", "a delete before its replacement is proven", S),
        Row("P8", "an alias that is cut while it moves", S),
        Row("P9", "some deletes that fail", S),
        Row("P10", "a model that gets another name", S),
        Row("P11", "secrets in a plan", S),
        Row("P12", "a difference that never goes away", S),
        Row("P13", "a plan that says other than apply does", S),
    ),
    "Models in memory": (
        Row("W1", "not enough memory", S),
        Row("W2", "two warm models that push each other out", R),
        Row("W3", "a warm model under another name", S),
        Row("W4", "users push a warm model out again and again", S),
        Row("W5", "a busy host", S),
        Row("W6", "how long to keep a model", S),
        Row("W7", "a load that hangs", S),
        Row("W8", "a model that is partly on the CPU", S),
        Row("W9", "a model that cannot be asked to generate", S),
        Row("W10", "a warm model that is being replaced", S),
    ),
    "fleet itself": (
        Row("K1", "asked to end in the middle", S),
        Row("K2", "killed at any moment", S),
        Row("K3", "two runs on one machine", R),
        Row("K4", "two fleets on two machines", S),
        Row("K5", "a lock that is stale or does not work", S),
        Row("K6", "its own disk is full or fails", S),
        Row("K7", "its own record is damaged or newer", S),
        Row("K8", "files that others could read or write", R),
        Row("K9", "no more files, memory or threads", S),
        Row("K10", "work that would hold everything up", S),
        Row("K11", "a fault of its own in one host's work", S),
        Row("K12", "late, doubled and overlapping passes", S),
        Row("K13", "nobody reads what it writes", S),
        Row("K14", "another version of it than before", S),
        Row("K15", "a credential that is taken away while it runs", S),
        Row("K16", "a loop that no longer turns", S),
        Row("K17", "a pass that takes longer than its interval", S),
        Row("K18", "files that a killed run left", S),
    ),
    "Time": (
        Row("T1", "the clock is set back", S),
        Row("T2", "the clock is set forward", S),
        Row("T3", "the machine sleeps", S),
        Row("T4", "times that make no sense", S),
        Row("T5", "windows for maintenance", D, "there are no windows for maintenance yet"),
        Row("T6", "files from the future", S),
    ),
}

ROWS: Final[dict[str, Row]] = {row.name: row for rows in GROUPS.values() for row in rows}
