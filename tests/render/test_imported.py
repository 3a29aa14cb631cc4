"""Comments in what `fleet import` writes: whatever a host says in them, the file stays readable."""

from __future__ import annotations

from fleet.codes import Code
from fleet.manifest.faults import Faults
from fleet.manifest.item import Create, Pull
from fleet.manifest.reading import read_documents
from fleet.names import HostName, ModelName
from fleet.reconcile.importing.entries import Draft, DraftEntry
from fleet.reconcile.observed import Unobserved
from fleet.render.imported import Told, imported

ALPHA = HostName("alpha")
HOSTS = frozenset({ALPHA})
NAME = ModelName.parse("qwen3:8b")


def test_words_of_hosts_stay_inside_their_comment() -> None:
    hostile = "x\nmodels: {evil: }\r\u2028\x85\ufffe\uffff\x1b[31m`"
    entry = DraftEntry(NAME, Pull(), None, HOSTS, (hostile,))
    unseen = Unobserved(HostName("beta"), Code.UNREACHABLE, hostile)
    made = imported(Draft(((entry,),), {ALPHA: (hostile,)}), Told(looked_into=1, unobserved=(unseen,)))
    faults = Faults()
    assert len(read_documents(made.manifest.encode(), "models.yaml", faults)) == 1
    assert faults.found == []
    assert [line for line in made.manifest.splitlines() if "evil" in line and not line.lstrip().startswith("#")] == []


def test_nothing_held_is_a_manifest_all_the_same() -> None:
    made = imported(Draft(()), Told(looked_into=1))
    assert made.manifest.endswith("version: 1\n\nmodels: {}\n")


def test_equal_texts_share_a_file_and_others_do_not() -> None:
    def entry(name: str, system: str) -> DraftEntry:
        return DraftEntry(ModelName.parse(name), Create(NAME, system=system), None, HOSTS)

    documents = ((entry("a/b:1", "x" * 5000),), (entry("a/b:1", "y" * 5000),), (entry("A/b:1", "x" * 5000),))
    made = imported(Draft(documents), Told(apart=True, looked_into=1))
    assert dict(made.texts) == {"texts/a-b-1.system.txt": b"x" * 5000, "texts/a-b-1.system-2.txt": b"y" * 5000}
    assert made.manifest.count("system: {file: texts/a-b-1.system.txt}") == 2
