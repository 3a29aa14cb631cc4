"""Plans and reports that have one of everything, for renderers to show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from fleet.codes import Code
from fleet.manifest.inventory import Host, NamePattern, Place
from fleet.manifest.item import AbsentItem, Alias, Check, Create, Desired, HostDesired, Item, Pull, Warm
from fleet.names import Digest, HostName, ModelName
from fleet.ollama.versions import Version
from fleet.reconcile.difference import (
    Blocked,
    Change,
    Difference,
    HostDifference,
    LocalBlob,
    Reason,
    Removal,
    State,
    Warmth,
)
from fleet.reconcile.observed import Observation, Observed, Present, Unobserved
from fleet.reconcile.report import Failure, Outcome, Report, StepResult, counted
from fleet.reconcile.step import Action, BlockedItem, Plan, Refusal, Step
from fleet.weights.local import Format, LocalFile, Part, Stamp

ALPHA, BETA, GAMMA, DELTA = (HostName(name) for name in ("alpha", "beta", "gamma", "delta"))
QWEN, ASSISTANT, MARIO, CHAT, OLD, STUCK, TUNED, IDLE = (
    ModelName.parse(text)
    for text in ("qwen3:8b", "acme/assistant", "acme/mario", "chat", "old:1b", "acme/stuck", "acme/tuned", "idle:1b")
)
HOSTILE = "\x1b[31mred\x1b[0m\nnew line \u202etrap\u0007"


def digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).hexdigest())


def place(line: int) -> Place:
    return Place("models.yaml", line, 3)


def present(model: ModelName, size: int = 5_200_000_000) -> Present:
    return Present(model, str(model), digest(str(model)), size)


FILE = LocalFile(
    "tuned.gguf",
    "/srv/gguf/tuned.gguf",
    "weights/tuned.gguf",
    Stamp(1, 1, 2_100_000_000, 1, 1),
    Format.GGUF,
    Part.MODEL,
    digest=digest("tuned"),
)
ITEMS = {
    QWEN: Item(QWEN, Pull(), place(4), warm=Warm(600.0, {"num_ctx": 8192}), where="env=prod"),
    ASSISTANT: Item(ASSISTANT, Create(QWEN, system="Be brief."), place(6), overridden=(place(30),)),
    MARIO: Item(MARIO, Create(QWEN), place(9), protect=True),
    CHAT: Item(CHAT, Alias(ASSISTANT), place(12), freeze=True),
    STUCK: Item(STUCK, Create(QWEN, requires="0.14.0"), place(15)),
    TUNED: Item(TUNED, Create(None, files=(FILE,)), place(18), check=(Check("OK?"),), push=True),
}
GONE = AbsentItem(NamePattern("old*"), place(20), where="env=prod")

CHANGES = (
    Change("system", "You are Luigi.", "You are Mario.\nYou jump.", sensitive=True),
    Change("parameters.temperature", "0.2", "0.7"),
    Change("template", None, "{{ .Prompt }}", sensitive=True),
    Change("renderer", "qwen3", None),
)


def steps() -> tuple[Step, ...]:
    return (
        Step(1, ALPHA, QWEN, "qwen3:8b", Action.PULL, Reason.MISSING, new_after=1, bytes_in=5_200_000_000,
             item=ITEMS[QWEN]),
        Step(2, ALPHA, ASSISTANT, "acme/assistant:latest", Action.CREATE, Reason.MISSING, new_after=2, bytes_in=0,
             needs=(1,), source=QWEN, item=ITEMS[ASSISTANT], inputs="ab" * 32),
        Step(3, ALPHA, MARIO, "acme/mario:latest", Action.CREATE, Reason.FIELDS_DIFFER, old=digest("mario"),
             new_after=3, bytes_in=0, presumes=digest("mario"), needs=(1,), changes=CHANGES, source=QWEN,
             item=ITEMS[MARIO], inputs="cd" * 32),
        Step(4, ALPHA, CHAT, "chat:latest", Action.COPY, Reason.SOURCE_CHANGES, old=digest("chat"), new_after=2,
             bytes_in=0, presumes=digest("chat"), needs=(2,), source=ASSISTANT, item=ITEMS[CHAT]),
        Step(5, ALPHA, QWEN, "qwen3:8b", Action.LOAD, Reason.NOT_WARM, new_after=1, bytes_in=0, needs=(1,),
             item=ITEMS[QWEN]),
        Step(6, ALPHA, OLD, "Old:1b", Action.UNLOAD, Reason.IN_MEMORY, old=digest("old"), new=digest("old"),
             bytes_in=0, presumes=digest("old"), needs=(1, 2, 3, 4, 5)),
        Step(7, ALPHA, OLD, "Old:1b", Action.DELETE, Reason.DECLARED_ABSENT, old=digest("old"), bytes_in=0,
             bytes_freed=1_300_000_000, presumes=digest("old"), needs=(1, 2, 3, 4, 5, 6)),
        Step(8, BETA, QWEN, "qwen3:8b", Action.PULL, Reason.MISSING, new_after=8, item=ITEMS[QWEN]),
        Step(9, BETA, TUNED, "acme/tuned:latest", Action.UPLOAD, Reason.BLOB_MISSING, new=digest("tuned"),
             bytes_in=2_100_000_000, item=ITEMS[TUNED], blob=LocalBlob(digest("tuned"), 2_100_000_000, (FILE,))),
        Step(10, BETA, TUNED, "acme/tuned:latest", Action.CREATE, Reason.INPUTS_CHANGED, old=digest("before"),
             new_after=10, bytes_in=0, presumes=digest("before"), needs=(9,), item=ITEMS[TUNED], inputs="ef" * 32,
             changes=(Change("files", "sha256:0123456789ab", "sha256:ba9876543210"),)),
        Step(11, BETA, TUNED, "acme/tuned:latest", Action.CHECK, Reason.NOT_CHECKED, old=digest("before"),
             new_after=10, bytes_in=0, needs=(10,), item=ITEMS[TUNED], inputs="01" * 32),
        Step(12, BETA, TUNED, "acme/tuned:latest", Action.PUSH, Reason.PUBLISHED_DIFFERS, old=digest("before"),
             new_after=10, bytes_in=0, needs=(10, 11), item=ITEMS[TUNED], inputs="ef" * 32),
        Step(13, BETA, IDLE, "idle:1b", Action.RELEASE, Reason.NO_LONGER_WARM, old=digest("idle"), new=digest("idle"),
             bytes_in=0, release={"num_ctx": 8192}),
    )  # fmt: skip


def differences() -> tuple[HostDifference, ...]:
    cold = Warmth(State.DIFFERS, Reason.CONTEXT_DIFFERS, (Change("num_ctx", "4096", "8192"),))
    stuck = Blocked(Code.FIELD_NEEDS_NEWER_SERVER, "`requires` needs Ollama 0.14.0, and this is 0.9.6", "upgrade it")
    return (
        HostDifference(
            ALPHA,
            (
                Difference(ITEMS[ASSISTANT], None, State.DIFFERS, Reason.MISSING, needs=QWEN),
                Difference(ITEMS[MARIO], present(MARIO), State.DIFFERS, Reason.FIELDS_DIFFER, CHANGES, needs=QWEN),
                Difference(ITEMS[CHAT], present(CHAT), State.DIFFERS, Reason.SOURCE_CHANGES, needs=ASSISTANT),
                Difference(ITEMS[QWEN], present(QWEN), State.AS_DESIRED, warmth=cold),
            ),
            (Removal(GONE, present(OLD, 1_300_000_000), unload=True),),
        ),
        HostDifference(
            BETA,
            (
                Difference(ITEMS[QWEN], None, State.DIFFERS, Reason.MISSING),
                Difference(ITEMS[STUCK], None, State.BLOCKED, blocked=stuck),
                Difference(ITEMS[MARIO], present(MARIO), State.UNVERIFIED),
            ),
        ),
        HostDifference(DELTA, (Difference(ITEMS[QWEN], None, State.DIFFERS, Reason.MISSING),)),
        HostDifference(GAMMA, unobserved=unobserved()),
    )


def unobserved(host: HostName = GAMMA) -> Unobserved:
    return Unobserved(
        host, Code.NO_ANSWER, f"`{host}` did not answer within 15s: http://{host}:11434", "look at it", HOSTILE
    )


def observations() -> dict[HostName, Observation]:
    """What `alpha` was like; how old its models are is all that is read of it."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    modified = {MARIO: "2026-11-20T14:00:00.123456789+02:00", CHAT: "2026-11-23T11:15:00Z", QWEN: "nonsense"}
    return {ALPHA: Observed(ALPHA, Version.parse("0.32.15"), {}, at=now, modified=modified), GAMMA: unobserved()}


def full_plan() -> Plan:
    """Steps of every kind, and one of each reason to leave something alone."""
    return Plan(
        "acme",
        steps(),
        differences(),
        (BlockedItem(BETA, STUCK, differences()[1].items[1].blocked or Blocked(Code.INTERNAL, "")),),
        (
            Refusal(
                Code.TOO_MANY_DELETES,
                "9 models would be deleted on `beta`, and at most 5 may be",
                "if it is meant, say `--max-deletes 9`",
                BETA,
                ("delete a:1b on beta (declared-absent)", f"delete {HOSTILE} on beta"),
            ),
        ),
        {DELTA: "in repair"},
        "f" * 64,
    )


def desired() -> Desired:
    """What the plan was made for."""
    hosts = {
        ALPHA: (ASSISTANT, MARIO, CHAT, QWEN),
        BETA: (QWEN, STUCK, MARIO),
        DELTA: (QWEN,),
        GAMMA: (QWEN, MARIO),
    }
    return Desired(
        "acme",
        {
            name: HostDesired(
                Host(name, f"http://{name}:11434", place(1), suspended="in repair" if name == DELTA else None),
                tuple(ITEMS[model] for model in models),
                (GONE,) if name == ALPHA else (),
            )
            for name, models in hosts.items()
        },
    )


def clean_plan() -> Plan:
    """All seen, nothing to do."""
    hosts = tuple(
        HostDifference(
            host, (Difference(ITEMS[QWEN], present(QWEN), State.AS_DESIRED, warmth=Warmth(State.AS_DESIRED)),)
        )
        for host in (ALPHA, BETA)
    )
    return Plan("acme", hosts=hosts, fingerprint="f" * 64)


def wide_plan(hosts: int) -> Plan:
    """The same two steps on many hosts, some of which could not be seen."""
    names = [HostName(f"host-{number:04}") for number in range(hosts)]
    seen = [name for number, name in enumerate(names) if number % 10]
    made: list[Step] = []
    for name in seen:
        first = len(made) + 1
        pull, _, _, _, load, *_ = steps()
        made.append(replace(pull, number=first, host=name, new_after=first))
        made.append(replace(load, number=first + 1, host=name, new_after=first, needs=(first,)))
    found = tuple(
        HostDifference(
            name, (Difference(ITEMS[QWEN], None, State.DIFFERS, Reason.MISSING, warmth=Warmth(State.DIFFERS)),)
        )
        if name in seen
        else HostDifference(name, unobserved=unobserved(name))
        for name in names
    )
    return Plan("wide", tuple(made), found)


def observed(host: HostName = ALPHA) -> Observed:
    return Observed(host, Version.parse("0.12.6"), {QWEN: present(QWEN)})


def full_report() -> Report:
    """A pass in which each kind of end occurs."""
    plan = full_plan()
    first, second, third, fourth, fifth, sixth, seventh, eighth, *rest = plan.steps
    failed = Failure(
        Code.ERROR_LINE, "the create ended with an error", ALPHA, ASSISTANT, Action.CREATE, 2, told=HOSTILE,
        hint="read the server's log",
    )  # fmt: skip
    stalled = Failure(
        Code.STALLED, "0 bytes in 2m", BETA, QWEN, Action.PULL, 8, Outcome.UNKNOWN, told=None, hint=None
    )  # fmt: skip
    results = (
        StepResult(first, Outcome.DONE, seconds=83.4, bytes_in=5_200_000_000),
        StepResult(second, Outcome.FAILED, failed, 1.25),
        StepResult(third, Outcome.SUPERSEDED),
        StepResult(fourth, Outcome.NOT_TRIED),
        StepResult(fifth, Outcome.DONE, seconds=4.2),
        StepResult(sixth, Outcome.NOT_TRIED),
        StepResult(seventh, Outcome.NOT_TRIED),
        StepResult(eighth, Outcome.UNKNOWN, stalled, 125.0, 1000),
        *(StepResult(step, Outcome.DONE, seconds=2.0, bytes_in=step.bytes_in or 0) for step in rest),
    )
    after = replace(plan, steps=plan.steps[1:4])
    unseen = (unobserved(), unobserved(BETA))
    return Report(
        plan, after, results, (failed, stalled), unseen, None, None, 214.6, counted(plan, after, results, unseen)
    )


def good_report() -> Report:
    """All done."""
    plan = replace(full_plan(), blocked=(), refused=(), hosts=clean_plan().hosts, suspended={})
    results = tuple(StepResult(step, Outcome.DONE, seconds=1.0) for step in plan.steps)
    after = clean_plan()
    return Report(plan, after, results, seconds=12.0, counts=counted(plan, after, results, ()))


def wide_desired(plan: Plan) -> Desired:
    """Every host of a wide plan is to have the one model."""
    return Desired(
        plan.name,
        {host.host: HostDesired(Host(host.host, "http://x", place(1)), (ITEMS[QWEN],)) for host in plan.hosts},
    )
