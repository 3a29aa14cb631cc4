"""Asks a person whether a plan is to be carried out."""

from __future__ import annotations

import sys

from fleet.cli.streams import talk
from fleet.codes import Code
from fleet.errors import GuardError
from fleet.reconcile.guard import takes_away
from fleet.reconcile.step import Action, Plan
from fleet.render.words import counted, replaces


def can_ask() -> bool:
    """Whether somebody sees the question and can answer it: it is told to stderr and answered on stdin."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(plan: Plan) -> None:
    """Returns if somebody at a terminal says yes; a plan with deletes also takes their number as an answer.

    Raises `GuardError` for any other answer, and where there is no terminal to ask on.
    """
    if not can_ask():
        raise GuardError(
            "the plan was not carried out: there is no terminal to ask on",
            code=Code.NOT_CONFIRMED,
            hint="say `--yes`, or save the plan with `fleet plan --save FILE` and apply that file",
        )
    deletes = sum(step.action is Action.DELETE and takes_away(step) for step in plan.steps)
    replaced = sum(replaces(step) and step.action is not Action.DELETE for step in plan.steps)
    also = f", {replaced} replaced" if replaced else ""
    what = f"{counted(len(plan.steps), 'step')}, {counted(deletes, 'model')} deleted{also}" if deletes else ""
    answers = f"`yes`, or the number of models that are deleted ({what})" if deletes else "`yes`"
    talk(f"Carry this plan out? Only {answers} goes on: ")
    answer = sys.stdin.readline().strip()
    if answer != "yes" and not (deletes and answer == str(deletes)):
        raise GuardError(
            "the plan was not carried out: the answer was not `yes`",
            code=Code.NOT_CONFIRMED,
            hint="say `yes` in full, or narrow the plan by `--host`, `-l` and `--model`",
        )
