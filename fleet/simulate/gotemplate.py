"""Go templates, parsed as far as a server's answers depend on them: what is wrong with one, and which fields it uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

from fleet.simulate.gotemplate_lex import Token, tokens

_FUNCTIONS = frozenset(
    ["and", "break", "call", "continue", "eq", "ge", "gt", "html", "index", "js", "json", "le", "len", "lt", "ne", "not",
     "or", "print", "printf", "println", "slice", "urlquery", "currentDate", "yesterdayDate", "toTypeScriptType"]
)  # fmt: skip
_OPERANDS = {"field", "variable", "number", "word", "string", "raw", "char", "dot", "left", "bool"}


class TemplateError(ValueError):
    """The text is no template. The message is Go's."""


@dataclass(slots=True)
class Node:
    """Part of a template. `pipe` has the fields that its action names, `body` and `otherwise` what it governs."""

    kind: str  # text, action, if, range, with, define, block, template, break, continue
    text: str = ""
    pipe: list[str] = field(default_factory=list)
    body: list[Node] = field(default_factory=list)
    otherwise: list[Node] = field(default_factory=list)


class Template:
    """A parsed template. Raises `TemplateError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes = _Parser(text).parse()

    def variables(self) -> set[str]:
        """All names of fields and variables in it, in small letters: what servers infer capabilities from."""
        return {name.lower() for node in _walk(self.nodes) for name in node.pipe}

    def thinking_tags(self) -> tuple[str, str]:
        """The texts around `.Thinking` inside a loop over messages, empty where there are none."""
        found = _thinking(self.nodes, looping=False)
        return found or ("", "")


@lru_cache(maxsize=256)
def parsed(text: str) -> Template:
    return Template(text)


def _walk(nodes: list[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _walk(node.body)
        yield from _walk(node.otherwise)


def _thinking(nodes: list[Node], *, looping: bool) -> tuple[str, str] | None:
    found = None
    for node in nodes:
        if looping and "Thinking" in node.pipe:
            first, last = nodes[0], nodes[-1]
            ends = [part.text.strip() if part.kind == "text" else "" for part in (first, last)]
            found = (ends[0], ends[1])
        inner = looping if node.kind != "range" else "Messages" in node.pipe
        for part in (node.body, node.otherwise):
            found = _thinking(part, looping=inner) or found
    return found


class _Parser:
    """Goes through the tokens once; keeps some back."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._held: list[Token] = []
        self._loops = 0
        self._action_line = 0
        self._variables = ["$"]

    def parse(self) -> list[Node]:
        nodes, end = self._list()
        if end != "EOF":
            self._fail(f"unexpected {{{{{end.partition(' ')[0]}}}}}")
        return nodes

    def _next(self) -> Token:
        token = self._held.pop() if self._held else next(self._tokens)
        self._last = token
        return token

    def _word(self) -> Token:
        """The next token that is no blank."""
        while (token := self._next()).kind == "space":
            pass
        return token

    def _fail(self, message: str) -> NoReturn:
        raise TemplateError(f"template: :{self._last.line}: {message}")

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind == "error":
            started = f"started at :{self._action_line}" if self._action_line not in {0, token.line} else ""
            middle = "" if token.value.endswith(" action") else " in action"
            self._fail(token.value + (f"{middle} {started}" if started else ""))
        self._fail(f"unexpected {token} in {context}")

    def _list(self) -> tuple[list[Node], str]:
        """Nodes up to `end`, `else` or the end of the text, and which of them it was."""
        nodes: list[Node] = []
        while True:
            token = self._next()
            if token.kind == "text":
                nodes.append(Node("text", token.value))
            elif token.kind == "eof":
                return nodes, "EOF"
            elif token.kind != "open":
                self._unexpected(token, "input")
            else:
                self._action_line = token.line
                node = self._action()
                if isinstance(node, str):
                    return nodes, node
                nodes.append(node)

    def _action(self) -> Node | str:
        token = self._word()
        if token.kind != "keyword" or token.value == "nil":
            self._held.append(token)
            return Node("action", pipe=self._pipeline("command", "close"))
        if token.value in {"end", "else"}:
            return self._closing(token.value)
        if token.value in {"break", "continue"}:
            self._expect("close", f"{{{{{token.value}}}}}")
            if not self._loops:
                self._fail(f"{{{{{token.value}}}}} outside {{{{range}}}}")
            return Node(token.value)
        if token.value == "template":
            self._expect_name("template clause")
            following = self._word()
            self._held.append(following)
            return Node("template", pipe=[] if self._ends(following) else self._pipeline("template clause", "close"))
        return self._control(token.value)

    def _ends(self, token: Token) -> bool:
        if token.kind == "close":
            self._held.clear()
            return True
        return False

    def _closing(self, word: str) -> str:
        if word == "else":
            following = self._word()
            self._held.append(following)
            if following.kind == "keyword" and following.value in {"if", "with"}:
                return "else " + following.value
        self._expect("close", word)
        return word

    def _control(self, word: str) -> Node:
        depth = len(self._variables)
        if word in {"define", "block"}:
            self._expect_name(f"{word} clause")
        pipe = self._pipeline(word, "close") if word != "define" else []
        if word == "define":
            self._expect("close", "define clause")
        self._loops += word == "range"
        body, end = self._list()
        self._loops -= word == "range"
        otherwise: list[Node] = []
        if end == f"else {word}" and word in {"if", "with"}:
            self._next()  # the `if` or `with` that follows
            otherwise = [self._control(word)]
            end = "end"
        elif end.startswith("else") and word in {"if", "range", "with"}:
            otherwise, end = self._list()
            if end.startswith("else"):
                self._fail("expected end; found {{else}}")
        if end == "EOF":
            self._fail("unexpected EOF")
        if end != "end":
            self._fail(f"unexpected {{{{else}}}} in {word} clause")
        del self._variables[depth:]
        return Node(word, pipe=pipe, body=body, otherwise=otherwise)

    def _expect(self, kind: str, context: str) -> Token:
        token = self._word()
        if token.kind != kind:
            self._unexpected(token, context)
        return token

    def _expect_name(self, context: str) -> None:
        token = self._word()
        if token.kind not in {"string", "raw"}:
            self._unexpected(token, context)

    def _pipeline(self, context: str, end: str) -> list[str]:
        """The names used up to the closing delimiter or parenthesis."""
        names = self._declarations(context)
        stage = 0
        while True:
            first = self._word()
            if first.kind == end:
                if stage == 0:
                    self._fail(f"missing value for {context}")
                return names
            if not _operand_starts(first):
                self._unexpected(first, context)
            stage += 1
            if stage > 1 and first.kind in {"bool", "dot", "number", "string", "raw", "char"}:
                self._fail(f"non executable command in pipeline stage {stage}")
            used, last = self._command(first, end)
            names += used
            if last.kind == end:
                return names

    def _declarations(self, context: str) -> list[str]:
        """`$x :=`, `$x =` and, in a range, `$i, $x :=` at the start of a pipeline."""
        declared: list[str] = []
        while True:
            token = self._word()
            if token.kind != "variable":
                self._held.append(token)
                return declared
            gap = self._next()
            following = self._word() if gap.kind == "space" else gap
            if following.kind in {"declare", "assign"}:
                self._variables.append(token.value)
                return [*declared, token.value]
            if following.kind != "comma":
                self._held += [following, gap, token] if gap.kind == "space" else [following, token]
                return declared
            self._variables.append(token.value)
            declared.append(token.value)
            if context != "range" or len(declared) > 1:
                self._fail(f"too many declarations in {context}")
            second = self._word()
            self._held.append(second)
            if second.kind not in {"variable", "close", "right"}:
                self._fail("range can only initialize variables")

    def _command(self, first: Token, end: str) -> tuple[list[str], Token]:
        """The names in one command, and the token that ends it."""
        names: list[str] = []
        token = first
        while True:
            names += self._operand(token)
            token = self._next()
            spaced = token.kind == "space"
            if spaced:
                token = self._word()
            if token.kind in {end, "pipe"}:
                return names, token
            if not spaced or not _operand_starts(token):
                self._unexpected(token, "operand")

    def _operand(self, token: Token) -> list[str]:
        names: list[str] = []
        if token.kind == "word" and token.value not in _FUNCTIONS:
            self._fail(f'function "{token.value}" not defined')
        if token.kind == "left":
            names += self._pipeline("parenthesized pipeline", "right")
        elif token.kind == "variable":
            if token.value not in self._variables:
                self._fail(f'undefined variable "{token.value}"')
            names.append(token.value)
        elif token.kind == "field":
            names.append(token.value[1:])
        following = self._next()
        if following.kind == "field" and token.kind in {"string", "raw", "char", "number", "bool", "keyword"}:
            shown = token.value.replace("\\", "\\\\").replace('"', '\\"')
            self._fail(f'unexpected . after term "{shown}"')
        while following.kind == "field":
            names.append(following.value[1:])
            following = self._next()
        self._held.append(following)
        return names


def _operand_starts(token: Token) -> bool:
    return token.kind in _OPERANDS or (token.kind == "keyword" and token.value == "nil")
