"""Findings as people read them: those that hosts share once, and nothing in them that could act."""

from __future__ import annotations

from fleet.codes import Code
from fleet.names import HostName
from fleet.reconcile.doctor.finding import About, Finding, Severity
from fleet.render.doctor import doctor_markdown, doctor_text

OLD = Finding(Severity.WARNING, About.ADVISORY, "Ollama 0.9.6: CVE-1, bad", "upgrade", advisory="CVE-1")
FINDINGS = (
    Finding(Severity.PROBLEM, About.MODEL, "`a\x1b[31m|b` is broken", "pull it", HostName("alpha"), Code.BROKEN_MODEL),
    Finding(OLD.severity, OLD.about, OLD.what, OLD.do, HostName("alpha"), advisory="CVE-1"),
    Finding(OLD.severity, OLD.about, OLD.what, OLD.do, HostName("beta"), advisory="CVE-1"),
    Finding(Severity.NOTE, About.ENVIRONMENT, "`HTTP_PROXY` is set", "nothing"),
)


def test_the_worst_comes_first_and_hosts_share_a_line() -> None:
    assert doctor_text(FINDINGS, 2) == (
        "Problems, which keep something from working or safe:\n"
        "  alpha: `a\\x1b[31m|b` is broken (FLT-218)\n"
        "      do: pull it\n"
        "\n"
        "Warnings, to be seen to:\n"
        "  alpha, beta: Ollama 0.9.6: CVE-1, bad\n"
        "      do: upgrade\n"
        "\n"
        "Notes, to be known:\n"
        "  this machine: `HTTP_PROXY` is set\n"
        "      do: nothing\n"
        "\n"
        "1 problem, 2 warnings, 1 note; 2 hosts looked at\n"
    )


def test_a_healthy_fleet() -> None:
    assert doctor_text((), 1) == "Nothing found; 1 host looked at\n"
    assert doctor_markdown((), 1) == "### fleet: Nothing found; 1 host looked at\n"


def test_a_table_that_nothing_in_it_can_break() -> None:
    first = doctor_markdown(FINDINGS, 2).splitlines()[4]
    assert first == "| problem | `alpha` | `` `a\\x1b[31m\\|b` is broken `` | `pull it` | FLT-218 |"
