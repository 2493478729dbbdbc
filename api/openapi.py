"""The OpenAPI document, complete enough that clients can be made from it."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.problems import Problem, responses

#: Made by FastAPI for errors that problem details stand for here.
_NOT_OURS = ("HTTPValidationError", "ValidationError")
_EVENTS = "text/event-stream"
_DESCRIPTION = """\
Upload slides, get masks of tumour or other classes with checksums. Research software, not
a medical device.

Every request but those for health needs a key: `Authorization: Bearer KEY`. Keys belong to a
workspace and have a scope: `view`, `submit` or `admin`, each with the rights of the one before.
What belongs to another workspace is answered 404. Errors are problem details (RFC 9457), told
apart by their `type`; times are RFC 3339 in UTC, resolutions µm per px.
"""


def operation_id(route: APIRoute) -> str:
    """The name of the route's function: unique, and what a client's method is called."""
    return route.name


def install(app: FastAPI) -> None:
    """Let an application describe itself with what holds for all its routes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    description=_DESCRIPTION,
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _NOT_OURS:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/") or "security" in operation:
                _complete_operation(operation)
    return document


def _complete_operation(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        _without_null(parameter["schema"])
    answers = operation["responses"]
    for answer in answers.values():
        # FastAPI calls the whole stream a string; who reads it as events finds objects.
        answer.get("content", {}).get(_EVENTS, {}).pop("schema", None)
    common = responses(422) if "422" in answers else {}
    if "security" in operation:
        common |= responses(401, 403)
    if "requestBody" in operation:
        common |= responses(413)
    # 400: a host name that is not the service's, or what is no HTTP at all.
    common |= responses(400, 429, 503)
    for status, answer in common.items():
        if status == 422 or str(status) not in answers:
            answers[str(status)] = answer
    limited = answers["429"]
    limited.setdefault("headers", {})["Retry-After"] = {
        "description": "Seconds to wait",
        "schema": {"type": "integer"},
    }


def _without_null(schema: dict[str, Any]) -> None:
    """A parameter can be left out, but never be null: in an address that is the word."""
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        schema.update(kinds[0])
    elif kinds:
        schema["anyOf"] = kinds
