"""What can go wrong between this program and the service."""

from typing import Any

import httpx

from wsi_pipeline.errors import WsiError

_SHOWN_CHARACTERS = 300


class ClientError(WsiError):
    """The root of the client's errors."""


class RefusedError(ClientError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        problem: The problem detail (RFC 9457) as the service sent it; made up from the answer
            where something in between answered instead.
        retry_after: Seconds the service asks to wait, if it does.
    """

    def __init__(
        self, status: int, problem: dict[str, Any], retry_after: float | None = None
    ) -> None:
        super().__init__(f"{problem.get('title', 'HTTP error')} ({status}): {problem['detail']}")
        self.status = status
        self.problem = problem
        self.retry_after = retry_after

    @property
    def passes(self) -> bool:
        """Whether the same request may well succeed later."""
        return self.status in (408, 423, 425, 429, 502, 503, 504)

    @classmethod
    def of(cls, response: httpx.Response) -> "RefusedError":
        """From an answer whose body has been read."""
        problem: Any = None
        if "json" in response.headers.get("content-type", ""):
            try:
                problem = response.json()
            except ValueError:
                problem = None
        if not isinstance(problem, dict) or "detail" not in problem:
            text = " ".join(response.text.split())[:_SHOWN_CHARACTERS]
            problem = {
                "type": "about:blank",
                "title": response.reason_phrase or "HTTP error",
                "status": response.status_code,
                "detail": text or "the answer has no explanation",
            }
        return cls(response.status_code, problem, _seconds(response.headers.get("retry-after")))


class UnreachableError(ClientError):
    """The service did not answer, for longer than the client is patient."""


class TransferError(ClientError):
    """A file changed while it was sent, or what arrived is not what was sent."""


def _seconds(stated: str | None) -> float | None:
    """The number of ``Retry-After``; its other form, a date, is not used by the service."""
    return float(stated) if stated is not None and stated.isdecimal() else None
