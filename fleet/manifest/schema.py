"""The JSON Schema of inventory and manifests, for editors: made from the same shapes that read them."""

from __future__ import annotations

from typing import Any

from fleet.manifest.document import DOCUMENT
from fleet.manifest.shape import JsonSchema


def json_schema() -> JsonSchema:
    """A schema of one document, draft 2020-12.

    It takes whatever the reader takes, and some that the reader refuses: the small grammars of names, selectors and
    labels, and what must hold between entries, are told by the reader alone.
    """
    definitions: JsonSchema = {}
    document = _lifted(DOCUMENT.schema(), definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fleet: inventory and manifests, format 1",
        **document,
        "$defs": definitions,
    }


def _lifted(schema: Any, definitions: JsonSchema) -> Any:
    """The same with every record that has a title put aside once, under that title."""
    if isinstance(schema, list):
        return [_lifted(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    lifted = {key: _lifted(value, definitions) for key, value in schema.items()}
    title = lifted.get("title")
    if not isinstance(title, str):
        return lifted
    about = lifted.pop("description", None)
    definitions[title] = lifted
    return {"$ref": f"#/$defs/{title}", **({"description": about} if about else {})}
