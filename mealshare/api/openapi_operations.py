"""One operation of the OpenAPI document: parameters, body, answers, problems, security and links, from its declaration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pyramid.registry import Registry

from mealshare.api.body import MULTIPART, accepted_types
from mealshare.api.fields import FIELDS, fields_parameter
from mealshare.api.idempotency import KEY_REFUSED, REPLAYED
from mealshare.api.idempotency import PROBLEMS as KEY_PROBLEMS
from mealshare.api.links import Link, body_pointer, leads_somewhere
from mealshare.api.openapi_examples import Examples, overlaid
from mealshare.api.openapi_parts import header_references, parameter_reference, problem_responses
from mealshare.api.openapi_schemas import SCHEMA_PREFIX, Schemas
from mealshare.api.routes import ApiRoute
from mealshare.api.view import Operation
from mealshare.core.security.csrf import SAFE_METHODS
from mealshare.core.security.permissions import CorePermission, Denial, RuleBook, public

_PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}|\*(\w+)$")
#: Problems that any operation may answer.
_ALWAYS = frozenset({"unknown_parameter", "bad_encoding", "bad_request", "rate_limited", "internal", "unavailable"})
#: What a rule that is no feature's own answers to somebody who is signed in.
_DENIALS = {
    CorePermission.BROWSER_SESSION: Denial.SESSION_REQUIRED,
    CorePermission.MODERATE: Denial.ROLE_TOO_LOW,
    CorePermission.ADMINISTER: Denial.ROLE_TOO_LOW,
}
_STATUS_WORDS = {200: "Done as asked.", 201: "Made. `Location` tells where it is.", 202: "Accepted, and being worked on.",
                 204: "Done. There is nothing to tell."}  # fmt: skip


class OperationWriter:
    """Writes operations; what several share is collected in ``responses`` and ``extra_schemas``."""

    def __init__(self, registry: Registry, operations: Mapping[str, tuple[Operation, ApiRoute]]) -> None:
        """``operations``: all of the document, by their operationId."""
        self._registry = registry
        self._operations = operations
        self.schemas = Schemas([operation for operation, _ in operations.values()])
        self._examples = Examples(self.schemas.definitions)
        self.responses: dict[str, Any] = {}
        self.extra_schemas: dict[str, Any] = {}

    def write(self, name: str) -> dict[str, Any]:
        """The operation object.

        Raises ValueError for a problem that nobody registered, and for a link that leads nowhere.
        """
        operation, route = self._operations[name]
        item: dict[str, Any] = {
            "operationId": name,
            "summary": operation.summary or operation.function.__name__.replace("_", " ").capitalize(),
            "description": self._description(operation),
        }
        if operation.tags:
            item["tags"] = list(operation.tags)
        if operation.deprecation is not None:
            item["deprecated"] = True
        parameters = self._parameters(operation, route)
        if parameters:
            item["parameters"] = parameters
        body = self._request_body(operation)
        if body:
            item["requestBody"] = body
        codes = problem_codes(self._registry, operation)
        item["responses"] = {
            **self._success(name, operation),
            **problem_responses(self._registry, codes, self.responses, deprecated=operation.deprecation is not None),
        }
        item["security"] = self._security(operation)
        return item

    def _description(self, operation: Operation) -> str:
        words = operation.description or (operation.function.__doc__ or "").strip().split("\n\n")[0]
        parts = [" ".join(words.split()), self._access(operation)]
        if operation.deprecation is not None:
            parts.insert(0, operation.deprecation.in_words(self._replacement(operation)))
        return "\n\n".join(filter(None, parts))

    def _access(self, operation: Operation) -> str:
        """Who may use it, in a sentence."""
        if is_anonymous(self._registry, operation):
            return "Works without signing in."
        if operation.permission == CorePermission.BROWSER_SESSION:
            return "Only for somebody who signed in with the browser: a token is not enough."
        scope = self._scope(operation)
        if "no_personal_token" in operation.errors:
            needed = f" with the scope `{scope}`" if scope else ""
            return f"Needs a sign-in, by a browser or by a program{needed}: a personal token is not enough."
        return (
            f"Needs the scope `{scope}`." if scope else "Needs somebody who is signed in; a token of any scope will do."
        )

    def _replacement(self, operation: Operation) -> str | None:
        deprecation = operation.deprecation
        if deprecation is None or deprecation.replacement is None:
            return None
        routes: Mapping[str, ApiRoute] = self._registry["api_routes"]
        here = {part for part, _ in split_pattern(routes[operation.route_name].pattern)[1]}
        route = routes.get(deprecation.replacement)
        if route is None or not {part for part, _ in split_pattern(route.pattern)[1]} <= here:
            raise ValueError(
                f"{operation.route_name} cannot be replaced by {deprecation.replacement}: there is no way to it"
            )
        path, _ = split_pattern(route.pattern)
        return f"{operation.request_method} {path}"

    def _scope(self, operation: Operation) -> str | None:
        rules: RuleBook = self._registry["rules"]
        return rules.scope_of(operation.permission)

    def _parameters(self, operation: Operation, route: ApiRoute) -> list[dict[str, Any]]:
        parameters = [_path_parameter(name, regex, route) for name, regex in split_pattern(route.pattern)[1]]
        parameters += self.schemas.parameters(operation)
        if operation.shape is not None:
            parameters.append(self._fields(operation))
        if _heeds_if_match(operation):
            parameters.append(parameter_reference("If-Match"))
        if _has_etag(operation) and operation.request_method == "GET":
            parameters.append(parameter_reference("If-None-Match"))
        if self._is_keyed(operation):
            parameters.append(parameter_reference("Idempotency-Key"))
        return parameters

    def _fields(self, operation: Operation) -> dict[str, Any]:
        """The parameter ``fields``, whose names stand once for each kind of thing."""
        parameter = fields_parameter(operation.shape or {})
        schema = self.schemas.of_output(operation.returns)
        reference = schema.get("items", schema).get("$ref")
        if reference is not None:
            thing = reference.removeprefix(SCHEMA_PREFIX)
            names = parameter["schema"]["items"]
            self.extra_schemas[f"{thing}Field"] = {
                "title": f"{self.schemas.definitions[thing]['title']}: name of a member",
                "description": f"A member of `{thing}` that the parameter `{FIELDS}` can ask for; a dot leads into it.",
                **names,
                "examples": names["enum"][:1],
            }
            parameter["schema"]["items"] = {"$ref": f"{SCHEMA_PREFIX}{thing}Field"}
        return parameter

    def _is_keyed(self, operation: Operation) -> bool:
        return operation.keyed and not is_anonymous(self._registry, operation)

    def _request_body(self, operation: Operation) -> dict[str, Any] | None:
        if operation.multipart is not None:
            return {"required": True, "content": {MULTIPART: {"schema": self.schemas.of_input(operation.multipart)}}}
        if operation.body is None:
            return None
        types = accepted_types(operation.request_method, operation.body_type)
        schema = self.schemas.of_input(operation.body)
        example = overlaid(self._examples.of_input(schema), operation.body_example)
        content = {"schema": schema, "example": example}
        return {"required": not operation.body_optional, "content": dict.fromkeys(types, content)}

    def _success(self, name: str, operation: Operation) -> dict[str, Any]:
        """The answer when all goes well, and the 304 of a GET."""
        empty = operation.returns is None
        status = 204 if empty and operation.status == 200 else operation.status
        going = ("Deprecation", "Sunset", "Link") if operation.deprecation is not None else ()
        headers = [*going, *(("ETag",) if _has_etag(operation) else ())]
        headers += ["Location"] if status in (201, 202) else []
        headers += ["Link"] if operation.paged else []
        headers += [REPLAYED] if self._is_keyed(operation) else []
        answer: dict[str, Any] = {
            "description": _STATUS_WORDS.get(status, "Done as asked."),
            "headers": header_references(*headers),
        }
        if not empty:
            schema = self.schemas.of_output(operation.returns)
            example = overlaid(self._examples.of_output(schema), operation.example)
            answer["content"] = {operation.media_type: {"schema": schema, "example": example}}
        links = self._links(name, operation)
        if links:
            answer["links"] = links
        answers = {str(status): answer}
        if operation.request_method == "GET" and _has_etag(operation):
            answers["304"] = {
                "description": "Not changed since the answer with the `ETag` that `If-None-Match` names.",
                "headers": header_references("ETag", *going),
            }
        return answers

    def _links(self, name: str, operation: Operation) -> dict[str, Any]:
        links: dict[str, Any] = {}
        for link in operation.links:
            targets = [
                (target, *found)
                for target, found in self._operations.items()
                if found[0].route_name == link.route_name
                and (not link.methods or found[0].request_method in link.methods)
            ]
            if not targets or not {target[1].request_method for target in targets} >= set(link.methods):
                raise ValueError(f"{name} links to {link.route_name} {', '.join(link.methods)}, which is no operation")
            for target, leads_to, route in targets:
                self._check_link(name, operation, link, leads_to, route)
                links[target] = {
                    "operationId": target,
                    "parameters": dict(link.parameters),
                    "description": f"{leads_to.summary}.",
                }
        return links

    def _check_link(self, name: str, operation: Operation, link: Link, target: Operation, route: ApiRoute) -> None:
        """Raise ValueError unless the link names all parts of the address, nothing else, and members that exist."""
        path = {part for part, _ in split_pattern(route.pattern)[1]}
        query = {parameter["name"] for parameter in self.schemas.parameters(target)}
        wrong = (link.parameters.keys() - path - query) | (path - link.parameters.keys())
        if wrong:
            raise ValueError(f"{name} links to {link.route_name}, but not with {', '.join(sorted(wrong))}")
        for expression in link.parameters.values():
            where = body_pointer(expression)
            if where is None:
                continue
            kind = operation.returns if where[0] == "response" else operation.body
            used = self.schemas.of_output if where[0] == "response" else self.schemas.of_input
            if kind is None or not leads_somewhere(used(kind), where[1], self.schemas.definitions):
                raise ValueError(f"{name} links to {link.route_name} with {expression}, which does not exist")

    def _security(self, operation: Operation) -> list[dict[str, list[str]]]:
        session: dict[str, list[str]] = {"sessionCookie": []}
        if operation.request_method not in SAFE_METHODS:
            session["csrfToken"] = []
        if operation.permission == CorePermission.BROWSER_SESSION:
            return [session]
        scope = self._scope(operation)
        ways: list[dict[str, list[str]]] = [{"bearerAuth": [scope] if scope else []}, session]
        return [{}, *ways] if is_anonymous(self._registry, operation) else ways


def problem_codes(registry: Registry, operation: Operation) -> list[str]:
    """The problems that the operation may answer: its own, and those that follow from what it is.

    Raises ValueError for one that nobody registered.
    """
    known: Mapping[str, int] = registry["problems"]
    unsafe = operation.request_method not in SAFE_METHODS
    codes = {*_ALWAYS, *operation.errors, *(code for code in known if code.startswith("token_"))}
    if operation.query is not None or operation.shape is not None:
        codes.add("bad_parameter")
    if operation.body is not None:
        codes |= {"bad_json", "too_large", "unsupported_media_type", "invalid"}
    if operation.multipart is not None:
        codes |= {"too_large", "unsupported_media_type", "invalid"}
    if unsafe:
        codes |= {"csrf", "read_only", "storage_full"} | (set() if operation.keyed else {KEY_REFUSED})
    if _PART.search(registry["api_routes"][operation.route_name].pattern):
        codes.add("not_found")
    codes |= _denials(registry, operation)
    unknown = codes - set(known)
    if unknown:
        raise ValueError(
            f"{operation.function.__qualname__} names problems that nobody registered with config.add_problems: "
            + ", ".join(sorted(unknown))
        )
    return sorted(codes)


def _denials(registry: Registry, operation: Operation) -> set[str]:
    """What only those hear who are, or are not, signed in."""
    if is_anonymous(registry, operation):
        return set()
    codes = {str(Denial.LOGIN_REQUIRED)}
    if operation.permission in _DENIALS:
        codes.add(str(_DENIALS[CorePermission(str(operation.permission))]))
    if registry["rules"].scope_of(operation.permission) is not None:
        codes.add(str(Denial.SCOPE_MISSING))
    return codes | (set(KEY_PROBLEMS) if operation.keyed else set())


def is_anonymous(registry: Registry, operation: Operation) -> bool:
    """Whether the operation works without signing in."""
    if operation.anonymous is not None:
        return operation.anonymous
    return registry["rules"].rules.get(str(operation.permission)) is public


def split_pattern(pattern: str) -> tuple[str, list[tuple[str, str | None]]]:
    """A route's pattern as an OpenAPI path, and its parameters with their regular expressions (None: any)."""
    parts = [(match[1] or match[3], match[2]) for match in _PART.finditer(pattern)]
    path = _PART.sub(lambda match: "{" + (match[1] or match[3]) + "}", pattern)
    return path if path.startswith("/") else f"/{path}", parts


def _heeds_if_match(operation: Operation) -> bool:
    """An operation that compares says so by the problem that it may answer."""
    return "precondition_failed" in operation.errors


def _has_etag(operation: Operation) -> bool:
    if operation.etag is not None:
        return operation.etag
    return operation.request_method == "GET" and operation.returns is not None


def _path_parameter(name: str, regex: str | None, route: ApiRoute) -> dict[str, Any]:
    told = route.params.get(name)
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    pattern = told.pattern if told is not None and told.pattern is not None else f"^(?:{regex})$" if regex else None
    if pattern:
        schema = {"type": "string", "pattern": pattern}
    description = told.description if told is not None else f"The {name.replace('_', ' ')} in the address."
    parameter = {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    return parameter if told is None or told.example is None else {**parameter, "example": told.example}
