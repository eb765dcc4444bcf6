"""The pieces that the OpenAPI description is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from producers.api.problems import CONTENT_TYPE, PROBLEMS

Json = dict[str, Any]
REF = "#/components/schemas/"


def ref(name: str) -> Json:
    """A reference to one of the component schemas."""
    return {"$ref": REF + name}


def content(schema: Json, *types: str) -> Json:
    """The schema of a body, for each media type; JSON if none is named."""
    return {kind: {"schema": schema} for kind in types or ("application/json",)}


def shown(media: Json, examples: Mapping[str, Any]) -> Json:
    """The content, with an example for each media type that `examples` has one for."""
    return {
        kind: told if examples.get(kind) is None else told | {"example": examples[kind]}
        for kind, told in media.items()
    }


def operation(summary: str, answers: dict[str, str | Json], *problems: int) -> Json:
    """An operation with its answers by status, and the statuses of its problems.

    An answer is a description or a whole response.
    """
    responses: Json = {
        status: {"description": response} if isinstance(response, str) else response
        for status, response in answers.items()
    }
    return {"summary": summary, "responses": responses | problem_answers(*problems)}


def problem_answers(*statuses: int) -> Json:
    """The responses of these statuses: problem documents of every kind that has them."""
    return {
        str(status): {
            "description": "; ".join(
                sorted({title for code, title in PROBLEMS.values() if code == status})
            ),
            "content": content(ref("Problem"), CONTENT_TYPE),
        }
        for status in statuses
    }


def parameter(name: str, where: str, description: str, schema: Json) -> Json:
    """A parameter in the `path` (which is required), the `query` or a `header`."""
    return {
        "name": name,
        "in": where,
        "description": description,
        "schema": schema,
        "required": where == "path",
    }


def body(example: Json, **properties: Json) -> Json:
    """A required JSON body with these properties."""
    told = shown(content(object_of(**properties)), {"application/json": example})
    return {"requestBody": {"required": True, "content": told}}


def object_of(**properties: Json) -> Json:
    """The schema of an object with these properties."""
    return {"type": "object", "properties": properties}
