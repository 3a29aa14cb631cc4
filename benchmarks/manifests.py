"""The manifests that are read: 200 of 50 models, with the forms of entries that people write."""

from __future__ import annotations

FILES = 200
ENTRIES = 50

HEAD = """\
# Models of team @
version: 1
where: team=t@

models:
"""
FORMS = """\
  qwen3:@b:

  phi4:@b: {warm: true, where: role=rag}

  llama3.1:@b:
    where: "vram>=80GB,site in (tokyo,osaka)"
    warm: {keep_alive: -1, options: {num_ctx: 8192}}

  acme/assistant-@:
    create:
      from: qwen3:@b
      system: You answer briefly, in the language of the question.
      parameters: {temperature: 0.2, top_p: 0.9, stop: ["<|eot_id|>", "<|end|>"]}
      messages:
        - {role: user, content: Hi}
        - {role: assistant, content: Hello}
    overrides:
      - {where: "vram>=80GB", warm: true}

  chat-@: {alias: acme/assistant-@}
"""


def manifest(number: int) -> bytes:
    """One document of 50 entries; no two numbers give the same."""
    forms = FORMS.split("\n\n")
    entries = [forms[entry % len(forms)].replace("@", str(number * ENTRIES + entry)) for entry in range(ENTRIES)]
    return (HEAD.replace("@", str(number)) + "\n".join(entries) + "\n").encode()


def manifests() -> list[bytes]:
    return [manifest(number) for number in range(FILES)]
