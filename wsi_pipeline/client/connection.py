"""HTTP to one service: the key, errors as exceptions, attempts repeated over lost lines."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from wsi_pipeline.client.errors import ClientError, RefusedError, UnreachableError
from wsi_pipeline.client.retry import RetryTimer
from wsi_pipeline.errors import UsageError

#: Seconds to connect, and of silence within an answer. The service speaks at least every 15 s
#: while events are awaited; the last block of an upload may take longer to be written.
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
#: How long a service that never answered yet is waited for, seconds: its address may be wrong.
_FIRST_PATIENCE_SECONDS = 5.0


class Connection:
    """Requests to one service. Safe to share between threads.

    Redirects are not followed and answers cannot send requests elsewhere: the key goes to the
    service's own address only.

    Args:
        url: Address of the service; a ``?token=…`` in it, as ``wsi serve`` prints, is the key.
        token: The key.
        patience_seconds: How long attempts may fail in a row once the service has answered.
        tell: Called with the reason and the seconds before each wait.

    Raises:
        UsageError: the address is not one of a web server.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        patience_seconds: float = 300.0,
        tell: Callable[[str, float], None] | None = None,
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise UsageError(f"the service's address cannot be read: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise UsageError("the service's address begins with http:// or https://")
        token = token or parsed.params.get("token")
        self._base = parsed.copy_with(query=None, fragment=None)
        self._patience_seconds = patience_seconds
        self._tell = tell
        self._answered = False
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(headers=headers, timeout=_TIMEOUT, follow_redirects=False)

    @property
    def address(self) -> str:
        """The service's address without the key."""
        return str(self._base).rstrip("/")

    def close(self) -> None:
        """Close every line."""
        self._http.close()

    def retry(self) -> RetryTimer:
        """For one row of attempts: short while the service has not answered at all yet."""

        def seconds() -> float:
            # Asked at each failure: the service may have answered since this row began.
            return (
                self._patience_seconds
                if self._answered
                else min(_FIRST_PATIENCE_SECONDS, self._patience_seconds)
            )

        return RetryTimer(seconds, self._tell)

    def url(self, path: str) -> httpx.URL:
        """Where a path of the service is; of a whole address only the path counts.

        A server behind a proxy may name itself by an address that is not the one it is reached by.
        """
        prefix = self._base.path.rstrip("/")
        target = httpx.URL(path).raw_path.decode("ascii")
        if not target.startswith(f"{prefix}/"):
            target = prefix + target
        return self._base.copy_with(raw_path=target.encode("ascii"))

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One request, one attempt.

        Raises:
            RefusedError: the service answered with an error.
            UnreachableError: it did not answer.
        """
        with self._as_client_errors():
            response = self._http.request(
                method, self.url(path), headers=headers, content=content, json=json, params=params
            )
        self._answered = True
        if not response.is_success:
            raise RefusedError.of(response)
        return response

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request that may be sent twice, attempted until the retry time is over.

        Raises:
            RefusedError: the service answered with an error that does not pass.
            UnreachableError: it did not answer.
        """
        retry = self.retry()
        while True:
            try:
                return self.send(method, path, **arguments)
            except UnreachableError as error:
                retry.wait(error)
            except RefusedError as error:
                if not error.passes:
                    raise
                retry.wait(error, error.retry_after)

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """One GET whose body the caller reads as it comes.

        Raises:
            RefusedError: the service answered with an error.
            UnreachableError: it did not answer, or stopped answering.
        """
        with (
            self._as_client_errors(),
            self._http.stream("GET", self.url(path), headers=headers) as response,
        ):
            self._answered = True
            if not response.is_success:
                response.read()
                raise RefusedError.of(response)
            yield response

    @contextmanager
    def _as_client_errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError:
            raise
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(
                f"the service at {self.address} does not answer: {reason}"
            ) from error
        except httpx.HTTPError as error:
            raise UnreachableError(f"the service's answer cannot be read: {error}") from error
