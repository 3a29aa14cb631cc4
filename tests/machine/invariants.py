"""The 34 invariants of `reliability.md` D.2, each in a few words. Tests that are marked with one prove it."""

from __future__ import annotations

from typing import Final

INVARIANTS: Final[dict[str, str]] = {
    "I1": "after an apply nothing is left to do, and a second one changes nothing",
    "I2": "equal input in any order gives an equal plan, byte for byte",
    "I3": "how a name is spelled changes only how it is shown",
    "I4": "every delete has one reason: named absent, owned and undeclared, or fleet's own for a while",
    "I5": "from what was not seen, or is not there, nothing follows",
    "I6": "a smaller desired state never deletes more than is allowed by number",
    "I7": "no way leads to the end of the last name of a protected content",
    "I8": "what needs something comes after it, and deletes after everything",
    "I9": "a saved plan is read as it was written, and no other byte is taken for it",
    "I10": "one host changes nothing on another",
    "I11": "no step for what is so already, and each blob is sent once",
    "I12": "no more bytes are moved than the plan says",
    "E1": "what was usable and is not deliberately deleted is usable",
    "E2": "what is replaced stays reachable until the new one is proven",
    "E3": "nothing is changed that no plan says",
    "E4": "nothing exclusive runs beside anything else on a host, remains of abandoned work included",
    "E5": "limits hold at every instant",
    "E6": "what is reported is what there is",
    "E7": "ownership is neither forgotten nor invented",
    "E8": "a run that is killed anywhere and run again ends as if it had not been",
    "E9": "once faults are over, hosts become as declared",
    "E10": "what is hopeless is not tried for ever",
    "E11": "a host's faults touch no other host",
    "E12": "two fleets do not undo each other for ever",
    "E13": "one load at a time, and none that throws others out again and again",
    "E14": "no secret leaves the process",
    "E15": "no text of a server acts on a terminal",
    "E16": "only its own folders are read and written, and what is written is private",
    "E17": "asked to end, it ends in time, with a record that can be read",
    "E18": "a notification that is lost or doubled changes nothing after the next look",
    "E19": "one run goes by one snapshot of the manifests, and deletes by the newest",
    "E20": "the clock on the wall changes nothing but what is printed",
    "E21": "a loop that does nothing is seen",
    "E22": "requests have known headers, known destinations and an end",
}
