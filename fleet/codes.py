"""Every failure that fleet reports, with a stable code: the table behind `fleet explain` and `docs/errors.md`.

A code keeps its number and its meaning for ever; one that is no longer used is never given away again.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Explained(NamedTuple):
    """One row of the table. `retry` tells what waiting does: `later` may help, `never` does not, `observe` first."""

    number: int
    title: str
    cause: str
    cure: str
    retry: str


class Code(Enum):
    """`FLT-nnn`. 1xx reaching a host, 2xx acting on it, 3xx blocked items, 4xx input, 5xx guards, 6xx this machine."""

    UNREACHABLE = Explained(
        101,
        "the host refused or dropped the connection",
        "Nothing listens at the address, a firewall refuses, or the connection broke off.",
        "Check that `ollama serve` runs there and that OLLAMA_HOST on that machine listens beyond loopback.",
        "later",
    )
    NAME_NOT_RESOLVED = Explained(
        102,
        "the host's name could not be looked up",
        "DNS has no such name, or did not answer.",
        "Check the `url` in the inventory and the resolver of this machine.",
        "later",
    )
    NO_ANSWER = Explained(
        103,
        "the host did not answer in time",
        "The connection or the reply took longer than the limit for a small reply; a dripping reply counts as none.",
        "Look at the host's load and network; `connect_timeout` and `answer_deadline` are settings. One that is still"
        " starting is asked again with `--wait 10m`.",
        "later",
    )
    TLS_FAILED = Explained(
        104,
        "the TLS connection could not be trusted",
        "The certificate is expired, for another name, signed by an unknown authority, or ours was not accepted.",
        "Check `tls.ca_file`, `tls.cert_file` and `tls.server_name`; fleet never falls back to plain HTTP.",
        "never",
    )
    UNAUTHORIZED = Explained(
        105,
        "the host or a proxy before it wants other credentials",
        "It answered 401 or 403. Ollama itself authenticates nobody, so a reverse proxy did.",
        "Check `auth` of the host in the inventory.",
        "never",
    )
    ORIGIN_REFUSED = Explained(
        106,
        "the server refuses the Host header",
        "403 with an empty body is Ollama's own check of the Host header while it listens on loopback.",
        "Let the proxy rewrite Host, or set OLLAMA_HOST on the server to an address of its own.",
        "never",
    )
    REDIRECTED = Explained(
        107,
        "the host answered with a redirect, which is not followed",
        "A proxy sends to a login page or from http to https; following it could carry credentials elsewhere.",
        "Write the final address as the host's `url`.",
        "never",
    )
    NOT_OLLAMA = Explained(
        108,
        "the answer is not one of Ollama's",
        "Another service, a captive portal or a broken proxy answered, or a needed field is missing.",
        "Ask `URL/api/version` by hand and compare.",
        "later",
    )
    ANSWER_TOO_LARGE = Explained(
        109,
        "the answer is larger than any Ollama sends",
        "The reply or one of its lines passed the limit for its kind; reading stopped there.",
        "Find out what answers at this address.",
        "never",
    )
    SERVER_ERROR = Explained(
        110,
        "the server failed with a status of 500 or above",
        "An internal error of the server or of a proxy before it.",
        "Look at the server's log; the next run tries again.",
        "later",
    )
    BUSY = Explained(
        111,
        "the server is busy",
        "It answered 429 or 503: too many requests are queued.",
        "Nothing: users come first, the next run tries again. OLLAMA_MAX_QUEUE raises the limit.",
        "later",
    )
    CREDENTIALS_UNREADABLE = Explained(
        112,
        "a credential of the host could not be read",
        "The file or environment variable that `auth` or `tls` names is missing, empty or unreadable, others than its"
        " owner may read the file, or `credential_command` told nothing.",
        "Create it with mode 600, for the user who runs fleet, below the inventory's folder or `credentials_dir`.",
        "never",
    )
    SERVER_REFUSED = Explained(
        201,
        "the server refused the request",
        "It answered with a status of 400 to 499 and the reason shown.",
        "Read the server's words; the same request will be refused again.",
        "never",
    )
    ERROR_LINE = Explained(
        202,
        "the server said `error` in its stream",
        "An operation that had begun failed; a `success` after the error does not count.",
        "Read the server's words and its log.",
        "observe",
    )
    STREAM_CUT = Explained(
        203,
        "the stream ended before its end",
        "The connection broke, or ended without a last `success`: the server or a proxy went away.",
        "Nothing: the host is looked at again, and the next run goes on from there.",
        "observe",
    )
    STALLED = Explained(
        204,
        "the download moved fewer bytes than the floor",
        "The server keeps saying the same number: its connection to the registry hangs.",
        "The next run goes on where it stopped. `stall_window` and `stall_floor` are settings.",
        "observe",
    )
    SILENT = Explained(
        205,
        "the stream fell silent",
        "No line came within the limit for this phase.",
        "Look at the host; the limits per phase are settings.",
        "observe",
    )
    NOT_AS_WANTED = Explained(
        206,
        "the server said success, and a new look shows otherwise",
        "The model is not there, not whole, or not what was asked for. Where every run tells it again, a file in the"
        " server's folder of blobs may be damaged: no pull brings it anew as long as it is there.",
        "Look at `fleet why HOST MODEL`; the next run tries again. Damaged blobs are removed by hand, and pulled anew then.",
        "observe",
    )
    NOT_IN_REGISTRY = Explained(
        207,
        "the registry has no such model or tag",
        "The server's pull ended with `file does not exist`.",
        "Check the spelling of name and tag.",
        "never",
    )
    REGISTRY_UNAUTHORIZED = Explained(
        208,
        "the registry refuses this host",
        "The model is private or gated, and the host's own key may not read it.",
        "Register the public key of that Ollama server with the registry.",
        "never",
    )
    NEWER_SERVER_NEEDED = Explained(
        209,
        "the model needs a newer Ollama",
        "The registry refused this server's version.",
        "Upgrade Ollama on that host, or narrow the entry by `where`.",
        "never",
    )
    REGISTRY_TROUBLE = Explained(
        210,
        "the registry could not be reached or is overloaded",
        "DNS, network, 429 or 5xx between the host and the registry.",
        "Nothing: the next run goes on where this one stopped.",
        "later",
    )
    DISK_FULL = Explained(
        211,
        "the host's disk is full",
        "The server reported `no space left on device`.",
        "Free space, or declare models `absent`; a restart of Ollama removes abandoned downloads.",
        "never",
    )
    DIGEST_MISMATCH = Explained(
        212,
        "what arrived has another digest",
        "It was damaged on its way. A download is dropped; of an upload the server keeps what arrived, as another blob.",
        "The next run transfers it again; if it repeats, suspect a proxy, the network, or the host's memory or disk.",
        "later",
    )
    REGISTRY_WITHOUT_REDIRECT = Explained(
        213,
        "the registry serves blobs itself, which Ollama cannot pull",
        "Ollama follows only blob redirects to another host name.",
        "Put a registry in between that redirects blobs.",
        "never",
    )
    OUT_OF_MEMORY = Explained(
        214,
        "the model does not fit into the host's memory",
        "The server refused or lost the runner for lack of memory.",
        "Warm less on this host, or lower `num_ctx`; no further model is loaded there in this run.",
        "never",
    )
    STILL_IN_USE = Explained(
        215,
        "the model stayed in memory and was not deleted",
        "Requests were still running when the time to wait for the unload was over.",
        "Try again when the model is idle; `unload_wait` is a setting.",
        "later",
    )
    SUPERSEDED = Explained(
        216,
        "the host changed since this was planned",
        "Somebody else changed what the step was about to change, so it was left alone.",
        "Run again: the next plan starts from what is there now.",
        "observe",
    )
    LOAD_FAILED = Explained(
        217,
        "the model could not be loaded",
        "The server's runner refused or ended.",
        "Read the server's words; wrong `options` are the usual cause.",
        "never",
    )
    BROKEN_MODEL = Explained(
        218,
        "the model is listed but not whole",
        "A blob that its image manifest names is missing on the host.",
        "fleet pulls or creates it again where it is declared; else delete it.",
        "later",
    )
    NOT_HELD = Explained(
        219,
        "the host did not keep all warm models in memory",
        "After the last load an earlier one was gone: memory or OLLAMA_MAX_LOADED_MODELS does not suffice.",
        "Declare fewer warm models, or state `capacity` in the inventory so that the plan can tell.",
        "never",
    )
    NOT_TRIED = Explained(
        220,
        "not tried, because something before it failed",
        "A step that this one needs did not succeed.",
        "Mend the failure named; this follows by itself.",
        "later",
    )
    INTERRUPTED = Explained(
        221,
        "not finished, because the run was interrupted",
        "A signal, or `--deadline`, asked fleet to stop.",
        "Run again. A download goes on from its bytes, which the host keeps.",
        "observe",
    )
    BLOB_VANISHED = Explained(
        222,
        "a blob that the model is made of is not on the host",
        "It was uploaded or listed before and removed since: a restart of the server prunes what no model uses, and a"
        " delete removes what it held.",
        "Run again: fleet uploads it anew. Set OLLAMA_NOPRUNE on a server that restarts often.",
        "later",
    )
    PIN_NOT_BROUGHT = Explained(
        223,
        "the pull brought another content than was accepted",
        "The tag moved between the question and the pull, or the host pulls from elsewhere than fleet asks.",
        "What came was taken away again, and a former content put back. Accept the new one by `fleet lock --upgrade` or"
        " another `pin`.",
        "never",
    )
    CHECK_FAILED = Explained(
        224,
        "the model did not answer as its `check` wants",
        "It was asked the questions of its entry, and an answer was not as expected.",
        "Mend the model or its `check`; `fleet check` asks again. No alias is pointed to it meanwhile.",
        "never",
    )
    NOT_PUBLISHED = Explained(
        225,
        "the registry does not serve what was pushed",
        "The push ended with success, and the registry answers with another content.",
        "Look at the registry: somebody else may push to the same name.",
        "observe",
    )
    FILE_CHANGED = Explained(
        226,
        "a file on this machine changed while it was sent",
        "It is another one than when the manifests were read, or became one on the way; nothing was made from it.",
        "Run again once nothing writes it any more.",
        "never",
    )
    NO_MODEL_SERVED = Explained(
        227,
        "what the registry serves is no model",
        "The name leads to an index, to an image of another kind, or to an answer that is no image manifest at all.",
        "Check the name; `url` and `mirror` under `registries` have to lead to a registry.",
        "never",
    )
    DOWNLOAD_DAMAGED = Explained(
        228,
        "the host cannot go on with a download that it has begun",
        "Each pull ends with a bare `EOF` before a byte moves: a disk that was full mostly left damaged part files, and the"
        " server trips over them again and again.",
        "Make room on the host's disk, then restart Ollama there, which removes part files: servers from 0.21.0 on only"
        " those that are older than an hour, so remove `blobs/sha256-*-partial*` by hand on those.",
        "never",
    )
    HOST_UNSETTLED = Explained(
        229,
        "not tried, because the host may still be at something that was left",
        "A pull or create of this or an earlier run broke off, or its run was killed, and the server may go on with it by"
        " itself: what removes or replaces layers beside it could take its layers away.",
        "Nothing: the same pull or create settles it, else the time that `unsettled_wait` gives it. Run again then; a"
        " daemon does by itself.",
        "later",
    )
    HOST_LEASED = Explained(
        230,
        "not tried, because another fleet of this machine is changing the host",
        "Two inventories name the same address, and the other fleet's run is at work there.",
        "Wait for it to end. A run that was killed keeps others waiting for a minute at most.",
        "later",
    )
    FOREIGN_WRITER = Explained(
        231,
        "somebody else keeps changing what fleet made",
        "What fleet put under this name was changed or deleted again and again within a day: another fleet with other"
        " manifests, a script, or a person. fleet does not fight: the name is left alone.",
        "Find out who it is and let one of the two have the model. If it is meant to be as declared here, say"
        " `--accept-foreign HOST`; a day after its last change fleet tries by itself.",
        "never",
    )
    LAYERS_LOST = Explained(
        232,
        "a model lost its layers when another one was changed",
        "It was listed and whole before this pass, and is not whole after a delete or replacement on its host: somebody"
        " else's pull or create ran beside it.",
        "fleet pulls or creates it again at once, or in its next run.",
        "later",
    )
    MODELS_NOT_WRITABLE = Explained(
        233,
        "the host cannot write its model folder",
        "The server answered `permission denied` or `read-only file system`: the folder belongs to another user, or its file"
        " system was mounted read-only, as after a fault of the disk.",
        "Give the folder (OLLAMA_MODELS) to the user that runs Ollama there, or mount it writable.",
        "never",
    )
    REGISTRY_LEFT_ALONE = Explained(
        240,
        "the registry fails, and is left alone for a while",
        "Pulls from it failed five times in a row on several hosts. For one minute, and twice as long each time up to a quarter"
        " of an hour, no host is asked to pull from it; then one of them tries for all.",
        "Nothing: what is there stays, and a later run goes on. A mirror under `registries` helps against outages.",
        "later",
    )
    CONTENDED = Explained(
        241,
        "a warm model is pushed out of memory again and again",
        "Requests for other models need its place. fleet loads it again after five minutes at the soonest, and waits twice as"
        " long each time, up to an hour, so that both do not push each other out for ever.",
        "Declare fewer models warm, give the host more memory, or send those requests elsewhere.",
        "later",
    )
    OFFLOADED = Explained(
        242,
        "a model in memory is partly on the CPU",
        "It did not fit into the memory of the GPU beside what was there (degraded-offload); it works, and slowly.",
        "Declare fewer models warm, a smaller context or a smaller quantization, or narrow the entry by `where`.",
        "never",
    )
    FIELD_NEEDS_NEWER_SERVER = Explained(
        301,
        "the server is too old for a field of the model",
        "Older servers ignore unknown fields without a word, so fleet does not send them.",
        "Upgrade the host, or narrow the entry or the field by `where` and `overrides`.",
        "never",
    )
    TEXT_NOT_EXPRESSIBLE = Explained(
        302,
        "a text cannot be written in the old Modelfile dialect",
        "Servers up to 0.5.4 take a Modelfile only, which has no escapes and drops some characters.",
        "Change the text, or upgrade the host to 0.5.5 or later.",
        "never",
    )
    SOURCE_NOT_THERE = Explained(
        303,
        "the source of an alias or the base of a model is not there",
        "It is neither declared for this host nor present on it; fleet never lets the server pull it by itself.",
        "Declare the source for the same hosts.",
        "never",
    )
    WARM_TOO_MANY = Explained(
        304,
        "more models are declared warm than the host may hold",
        "`capacity.loaded` is smaller than the number of warm models with weights of their own.",
        "Declare fewer warm, or raise `capacity.loaded` together with OLLAMA_MAX_LOADED_MODELS.",
        "never",
    )
    WARM_TOO_LARGE = Explained(
        305,
        "the warm models do not fit into the host's memory",
        "Their sizes together pass `capacity.vram`.",
        "Declare fewer warm, or narrow them by `where`.",
        "never",
    )
    WARM_OPTIONS_DIFFER = Explained(
        306,
        "two warm models share weights but want different runner options",
        "The server has one runner for each set of weights: each request would throw the other one out.",
        "Give both the same options, or keep only one warm.",
        "never",
    )
    PARAMETER_UNKNOWN_HERE = Explained(
        307,
        "this server's version does not know a parameter",
        "Servers store what they do not know and fail only at load, or refuse the whole Modelfile.",
        "Leave the parameter out for this host by `overrides`.",
        "never",
    )
    SOURCE_BLOCKED = Explained(
        308,
        "what this needs is itself blocked",
        "Its base or source cannot be had on this host.",
        "Mend the item named.",
        "never",
    )
    NAMES_COLLIDE = Explained(
        309,
        "the host lists two names that differ only in case",
        "Servers choose between them at random, so neither is acted on.",
        "Delete one of them on the host by hand.",
        "never",
    )
    CANNOT_CLEAR = Explained(
        310,
        "an inherited text cannot be removed on this server",
        "The create API takes an empty system or template as `inherit`.",
        "Use a base without it, or write another text.",
        "never",
    )
    REMOTE_MODEL = Explained(
        311,
        "the name is a cloud stub on this host",
        "There are no weights here: the server forwards requests elsewhere.",
        "Delete the stub by hand, or choose another name.",
        "never",
    )
    UNVERIFIED = Explained(
        312,
        "not provable from what the host shows",
        "The server's reply cannot tell whether the model was made from these inputs.",
        "`fleet adopt` records it as it is, so that later changes are noticed; `fleet apply --rebuild-unverified` builds"
        " it anew.",
        "never",
    )
    PIN_NOT_SERVED = Explained(
        313,
        "the registry no longer serves the content that was accepted",
        "The tag moved: a pull would bring something else than the pin or the lock file says, so it is not begun.",
        "Accept the new content by `fleet lock --upgrade` or another `pin`, or name a registry that keeps the old one.",
        "never",
    )
    DISK_TOO_SMALL = Explained(
        314,
        "the model does not fit on the host's disk",
        "What is there and what is to come pass `capacity.disk`; former contents are kept until the new are verified.",
        "Declare models `absent`, raise `capacity.disk`, or narrow the entry by `where`.",
        "never",
    )
    CANNOT_QUANTIZE = Explained(
        315,
        "this server's version cannot make that level of quantization",
        "Servers know different levels, and quantize from F16 and BF16 alone.",
        "Choose another level by `overrides`, or quantize the file beforehand.",
        "never",
    )
    PRUNE_WAITS = Explained(
        330,
        "nobody declares it, and it stays for now",
        "`policy.prune` would delete it, but something declared for the host is blocked: that may be what takes its place.",
        "Mend what is blocked, or name the model `absent: true` to have it deleted all the same.",
        "never",
    )
    MANIFEST_WRONG = Explained(
        401,
        "the manifests or the inventory are wrong as written",
        "Each fault is listed with file, line and column.",
        "Mend them; `fleet validate` checks without any host.",
        "never",
    )
    SETTINGS_WRONG = Explained(
        402,
        "a setting is wrong",
        "A settings file, an OLLAMA_FLEET_ variable or a flag has a value that cannot be used.",
        "See `fleet settings`.",
        "never",
    )
    PLAN_FILE_WRONG = Explained(
        403,
        "the plan file cannot be used",
        "It is damaged, edited, not a plan, or written by another version of fleet.",
        "Make a new one with `fleet plan --save`.",
        "never",
    )
    USAGE = Explained(
        404,
        "the command line is wrong",
        "An option or argument is unknown, missing or has an impossible value.",
        "See `fleet VERB --help`.",
        "never",
    )
    WEIGHTS_WRONG = Explained(
        405,
        "a local file of weights cannot be used",
        "It cannot be read, changed while it was read, or is not what its `sha256` says.",
        "Mend or download the file; `git lfs pull` fetches what a checkout left out.",
        "never",
    )
    NOT_LOCKED = Explained(
        406,
        "a model follows the lock file, and the lock file does not have it",
        "`update: locked` installs only what a person accepted, and nobody did yet.",
        "Run `fleet lock`, read what it wrote, and commit it.",
        "never",
    )
    LOCK_FILE_WRONG = Explained(
        407,
        "the lock file is not as fleet writes it",
        "A line was edited, is of another version of fleet, or holds the marks of a merge conflict.",
        "Take it from version control, or remove it and run `fleet lock`, which accepts what registries serve now.",
        "never",
    )
    HOSTS_DISAGREE = Explained(
        408,
        "hosts hold different contents of one model",
        "`fleet lock --from-hosts` accepts what hosts run, and they do not run the same.",
        "Narrow `-l` to hosts that agree, or bring them to one content first.",
        "never",
    )
    COMMIT_NOT_SIGNED = Explained(
        409,
        "a commit is not signed by a key that is accepted",
        "`git_verify_file` says whose commits are followed, and `git verify-commit` does not accept this one by those keys.",
        "Sign it, or add the key of who signed it to that file. The last good manifests stay in force meanwhile.",
        "never",
    )
    COMMIT_REFUSED = Explained(
        410,
        "a commit holds what is not taken from a repository",
        "A symbolic link leads out of the repository, a name is none that a file may have, or it is too large.",
        "Mend it by another commit. The last good manifests stay in force meanwhile.",
        "never",
    )
    SNAPSHOT_WRONG = Explained(
        411,
        "the snapshot cannot be used",
        "It is damaged, no snapshot of fleet, written by a newer version, or of another fleet than the inventory.",
        "Take a new one with `fleet snapshot --out FILE`.",
        "never",
    )
    TOO_MANY_DELETES = Explained(
        501,
        "more deletes than allowed",
        "One host would lose more models in this pass than `policy.max_deletes` allows; none was deleted.",
        "Read the list; if it is meant, say `--max-deletes N` with that number.",
        "never",
    )
    PROTECTED = Explained(
        502,
        "a protected model would have been deleted",
        "`policy.protect` or the entry's `protect` names it.",
        "Take the protection away, or the `absent` that asks for it.",
        "never",
    )
    FROZEN = Explained(
        503,
        "a frozen model would have been changed",
        "The entry says `freeze: true`, and the host differs.",
        "Take `freeze` away to let fleet change it.",
        "never",
    )
    DESIRED_SHRANK = Explained(
        504,
        "the desired state became empty or lost more than half",
        "Compared with the last pass of the same `name`, or with what fleet put on the host that is told, it is so much"
        " smaller that a missing file or a wrong label is likelier.",
        "If it is meant, say `--accept-shrunk`; what is to go from one host may be named `absent: true` in its place.",
        "never",
    )
    HOST_EMPTIED = Explained(
        505,
        "the host lost most of its models since the last pass",
        "A model folder that is not mounted looks the same; filling it again could fill the wrong disk.",
        "Look at the host; if it is meant, say `--accept-emptied HOST`, or mark it `ephemeral: true`.",
        "never",
    )
    PLAN_STALE = Explained(
        506,
        "the saved plan no longer fits",
        "Manifests or hosts changed since it was made, for something that it touches.",
        "Make a new plan, read it, apply that.",
        "never",
    )
    NOT_CONFIRMED = Explained(
        507,
        "the plan was not confirmed",
        "Nobody said yes: there is no terminal to ask on, or the answer was no.",
        "Say `--yes`, or apply a saved plan.",
        "never",
    )
    SOURCES_CHANGED = Explained(
        508,
        "the manifests are not those of the last pass, so nothing is pruned",
        "The files or folders named by `-f` and `-i` are others than the last time, other manifests were applied under the"
        " same `name`, or no earlier pass is remembered: what nobody declares here may be declared there.",
        "Name all of them, give each set of manifests a `name` of its own, or say `--accept-sources` if these are all there"
        " are from now on.",
        "never",
    )
    FILTERED = Explained(
        509,
        "nothing is pruned under a filter",
        "`--host`, `-l` or `--model` leave a part of the fleet out, and `policy.prune` is for all of it.",
        "Run once without them, or name the models `absent: true`.",
        "never",
    )
    DOES_NOT_CONVERGE = Explained(
        510,
        "the same change three times in a row, and it never holds",
        "The server takes the change and then shows something else, as one does that rewrites what it is given; making it"
        " again would go on for ever.",
        "Compare the two values in the message, and declare what the server makes of it, or upgrade the server.",
        "never",
    )
    HOST_NEW = Explained(
        511,
        "nothing is pruned at the first look at a host",
        "`policy.prune: undeclared` deletes what nobody declares, whoever put it there, and no look at this host at this"
        " address is remembered: it may be another machine than the one that is meant.",
        "Look at what would be deleted; what the host lists is remembered now, and the next pass prunes there.",
        "never",
    )
    MARKER_MISSING = Explained(
        520,
        "the host does not list the model that marks it",
        "The inventory names a `marker`, and what answers at the address has no such model: another machine, another model"
        " folder, or a disk that is not mounted.",
        "Look at the host. Where it is the right one, bring the marker back by hand, as `ollama cp MODEL MARKER`, or take"
        " `marker` out of the inventory.",
        "never",
    )
    LOCK_HELD = Explained(
        601,
        "another run is at work",
        "Another process holds the lock of this fleet's name.",
        "Wait for it to end.",
        "later",
    )
    STATE_UNUSABLE = Explained(
        602,
        "the state folder, or a file in it, cannot be used",
        "What `state_dir` names is no folder, cannot be made, read or written, is a link, belongs to another user or is"
        " writable by others; or the file of what fleet remembers was written by a newer fleet, the disk is full, or the"
        " lock cannot be taken.",
        "Do what the hint says: mend owner and permissions, make room, upgrade fleet, or name another folder, on a local"
        " disk, by `state_dir`. A file that is moved away is begun anew.",
        "never",
    )
    INTERNAL = Explained(
        603,
        "a fault of fleet itself",
        "Something happened that no line of fleet expected; other hosts were not affected.",
        "Please report it with the message shown.",
        "never",
    )
    OUTPUT_LOST = Explained(
        604,
        "the output could not be written",
        "The disk is full, or the device that stdout leads to failed.",
        "Look at the hosts by `fleet status`: what was begun was carried out.",
        "never",
    )
    SIMULATION_NOT_STARTED = Explained(
        605,
        "the simulator could not start",
        "Another process listens on one of its ports, or the inventory cannot be written.",
        "Name other ports: `--port 0`, `--registry-port 0` and `--control-port 0` let the system choose.",
        "later",
    )
    FILE_KEPT = Explained(
        606,
        "a file is there already, or cannot be written",
        "What fleet writes for a person to keep replaces nothing unless that is asked for.",
        "Name another file or folder by `--out`, or say `--force`.",
        "never",
    )
    SOURCE_UNREACHABLE = Explained(
        607,
        "the manifests could not be had",
        "The repository does not answer or does not let fleet in, the branch is gone, `git` is missing or too old, or files"
        " changed for as long as they were read.",
        "Mend what the message names. A daemon goes on with the last good manifests and tries again by itself.",
        "later",
    )
    NO_ROOM_HERE = Explained(
        612,
        "this machine has no more files, memory or threads for fleet",
        "A limit of the process or of the system was reached here; it says nothing about any host.",
        "Raise the limit (`ulimit -n`, `LimitNOFILE=`, `MemoryMax=`), or lower `parallelism`.",
        "later",
    )

    @property
    def id(self) -> str:
        """`FLT-nnn`, stable."""
        return f"FLT-{self.value.number}"

    @property
    def title(self) -> str:
        return self.value.title

    @property
    def cause(self) -> str:
        return self.value.cause

    @property
    def cure(self) -> str:
        return self.value.cure

    @property
    def retry(self) -> str:
        """`later`: waiting may help; `never`: it does not; `observe`: look at the host before anything else."""
        return self.value.retry
