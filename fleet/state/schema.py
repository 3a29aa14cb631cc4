"""The tables of the database, one step of statements for each version of them.

A version that was released is never edited: what changes is appended as the next step. No `STRICT`, which libraries
before 3.37 do not know and Python 3.11 is built with on some systems: what is read is checked when it becomes a value.
Tables that guards and evidence rest on have no index beside their own tree, which could be damaged apart from it.
"""

from __future__ import annotations

APPLICATION = 0x464C4554
"""`PRAGMA application_id`: by it a file of fleet is told from another program's."""

Step = tuple[str, ...]

STEPS: tuple[Step, ...] = (
    (
        # One row: the sum over this very schema.
        "CREATE TABLE format (seal INTEGER NOT NULL)",
        # `seal` is the sum over all rows of the fleet (`rows.seal`), `writes` counts what changed them.
        """CREATE TABLE fleets (
            fleet TEXT NOT NULL PRIMARY KEY, writes INTEGER NOT NULL, seal INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE sizes (
            fleet TEXT NOT NULL, scope TEXT NOT NULL, place INTEGER NOT NULL, items INTEGER NOT NULL,
            PRIMARY KEY (fleet, scope)
        ) WITHOUT ROWID""",
        """CREATE TABLE pushed (
            fleet TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL, host TEXT NOT NULL,
            digest TEXT NOT NULL, published TEXT NOT NULL, fingerprint TEXT NOT NULL, at TEXT NOT NULL,
            PRIMARY KEY (fleet, model)
        ) WITHOUT ROWID""",
        # A listing is one observation, written and compared as a whole: forty thousand rows of it would take seconds.
        """CREATE TABLE hosts (
            fleet TEXT NOT NULL, host TEXT NOT NULL, url TEXT NOT NULL, listed TEXT NOT NULL,
            PRIMARY KEY (fleet, host)
        ) WITHOUT ROWID""",
        """CREATE TABLE loaded (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL, options TEXT NOT NULL,
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        """CREATE TABLE borrowed (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL,
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        """CREATE TABLE evidence (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL,
            inputs TEXT NOT NULL, fingerprint TEXT NOT NULL, digest TEXT NOT NULL, base TEXT, base_content TEXT,
            weights TEXT NOT NULL, version TEXT NOT NULL, at TEXT NOT NULL, revision TEXT NOT NULL,
            adopted INTEGER NOT NULL CHECK (adopted IN (0, 1)),
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        """CREATE TABLE checked (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL,
            digest TEXT NOT NULL, questions TEXT NOT NULL, passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
            told TEXT NOT NULL, at TEXT NOT NULL,
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        # Of no fleet, and mere caches. `file` and `version` are those of `fleet.weights.local.Stamp`.
        """CREATE TABLE digests (
            place INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, version TEXT NOT NULL, digest TEXT NOT NULL,
            seal INTEGER NOT NULL
        )""",
        """CREATE TABLE forms (
            place INTEGER PRIMARY KEY, raw TEXT NOT NULL UNIQUE, normalised TEXT NOT NULL, seal INTEGER NOT NULL
        )""",
    ),
    (
        # What costs only itself when it is damaged: every row has a sum of its own, and none is part of `fleets.seal`.
        """CREATE TABLE passes (
            fleet TEXT NOT NULL, number INTEGER NOT NULL, begun TEXT NOT NULL, ended TEXT, triggers TEXT NOT NULL,
            revision TEXT NOT NULL, dry_run INTEGER NOT NULL, outcome TEXT NOT NULL, done INTEGER NOT NULL,
            failed INTEGER NOT NULL, message TEXT NOT NULL, seal INTEGER NOT NULL,
            PRIMARY KEY (fleet, number)
        ) WITHOUT ROWID""",
        # Apart from `passes`, which are listed more often than these are wanted. JSON, deflated.
        """CREATE TABLE pass_documents (
            fleet TEXT NOT NULL, number INTEGER NOT NULL, packed BLOB NOT NULL, seal INTEGER NOT NULL,
            PRIMARY KEY (fleet, number)
        ) WITHOUT ROWID""",
        # The highest number that was given away, so that none is given twice when its pass is no longer kept.
        """CREATE TABLE pass_numbers (
            fleet TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL, seal INTEGER NOT NULL
        ) WITHOUT ROWID""",
        # `model` is empty where the host itself is meant.
        """CREATE TABLE attempts (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, action TEXT NOT NULL,
            retry_class TEXT NOT NULL, tries INTEGER NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
            next_try TEXT NOT NULL, inputs TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL,
            seal INTEGER NOT NULL,
            PRIMARY KEY (fleet, host, model, action)
        ) WITHOUT ROWID""",
        """CREATE TABLE suspensions (
            fleet TEXT NOT NULL, host TEXT NOT NULL, reason TEXT NOT NULL, since TEXT NOT NULL, until TEXT,
            seal INTEGER NOT NULL,
            PRIMARY KEY (fleet, host)
        ) WITHOUT ROWID""",
        """CREATE TABLE last_good (
            fleet TEXT NOT NULL PRIMARY KEY, packed BLOB NOT NULL, revision TEXT NOT NULL, at TEXT NOT NULL,
            seal INTEGER NOT NULL
        ) WITHOUT ROWID""",
    ),
    (
        # What fleet put on a host, by name: whose it is, and how often it was not left as it was made.
        """CREATE TABLE made (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL,
            digest TEXT NOT NULL, owned INTEGER NOT NULL CHECK (owned IN (0, 1)), undone INTEGER NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        # What was begun and has no known end: written before the request that begins it. `former` is the digest that
        # the name had; nothing where it was free.
        """CREATE TABLE begun (
            fleet TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL, spelled TEXT NOT NULL,
            action TEXT NOT NULL, former TEXT, since TEXT NOT NULL,
            PRIMARY KEY (fleet, host, model),
            FOREIGN KEY (fleet, host) REFERENCES hosts DEFERRABLE INITIALLY DEFERRED
        ) WITHOUT ROWID""",
        # Which manifests speak for the fleet, by the scope of passes that can be compared.
        """CREATE TABLE sources (
            fleet TEXT NOT NULL, scope TEXT NOT NULL, told TEXT NOT NULL,
            PRIMARY KEY (fleet, scope)
        ) WITHOUT ROWID""",
        # Who changes the host at an address, over all fleets of this file. A row apart, with a sum of its own.
        """CREATE TABLE leases (
            fleet TEXT NOT NULL, url TEXT NOT NULL, holder TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
            seal INTEGER NOT NULL,
            PRIMARY KEY (url)
        ) WITHOUT ROWID""",
    ),
)
