"""Telling those who asked for it that a job is over: signed, at least once, and only where allowed.

Headers and signature follow the Standard Webhooks specification, so receivers can use its
libraries: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, which is ``v1,`` and the
base64 of the HMAC-SHA256 over ``ID.TIMESTAMP.BODY``.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa

from wsi_pipeline.errors import UsageError, WsiError
from wsi_pipeline.service.database import Database, now
from wsi_pipeline.service.jobs.job import JobState
from wsi_pipeline.service.settings import ServiceSettings
from wsi_pipeline.service.tables import jobs
from wsi_pipeline.service.webhook_address import Address, WebhookAddress

log = logging.getLogger(__name__)

#: Seconds before the second attempt, the third, and so on; after the last, none is made.
BACKOFF_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 10800.0)
#: Longest a delivery may take, however slowly the receiver answers, seconds.
_LIMIT_SECONDS = 15.0
#: A claimed delivery is tried again after so long: its worker is gone, seconds.
_CLAIM_SECONDS = 60.0
_POLL_SECONDS = 2.0
_AT_ONCE = 16
#: Prefix of secrets that are written in base64, by the Standard Webhooks specification.
_ENCODED_SECRET = "whsec_"  # noqa: S105 - a prefix, not a secret


class DeliveryError(WsiError):
    """A webhook could not be delivered.

    Attributes:
        final: Trying again would end the same way.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claimed attempt to tell of a job.

    Attributes:
        url: Where it goes.
        tries: Attempts including this one.
        finished_at: When the job was over; a job that was retried is over anew.
        payload: What is told.
    """

    job_id: str
    url: str
    tries: int
    finished_at: float
    payload: dict[str, Any]

    @property
    def message_id(self) -> str:
        """The same for every attempt, so that receivers can drop what they have."""
        return f"msg_{self.job_id}_{int(self.finished_at * 1000)}"


class Webhooks:
    """Delivers what is due. Several workers may do so at once; each delivery has one claimant.

    Args:
        database: Says what is due.
        settings: The secret and the allowed hosts.
        backoff_seconds: Waits between attempts.
    """

    def __init__(
        self,
        database: Database,
        settings: ServiceSettings,
        backoff_seconds: Sequence[float] = BACKOFF_SECONDS,
    ) -> None:
        self._database = database
        self._hosts = settings.webhook_hosts
        secret = settings.webhook_secret and settings.webhook_secret.get_secret_value()
        # An empty one, as Compose passes on what is not set, would sign nothing.
        self._key = signing_key(secret) if secret else None
        self._backoff = tuple(backoff_seconds)
        # The system's authorities, among which a hospital may have put its own.
        self._trusted = ssl.create_default_context()

    def run(self, stop: threading.Event) -> None:
        """Deliver until told to stop; returns at once if no secret is set: none are sent then."""
        if self._key is None:
            return
        while not stop.is_set():
            try:
                delivered = self.deliver_due()
            except sa.exc.OperationalError:
                log.warning("webhooks: the database does not answer; trying again")
                delivered = 0
            if not delivered:
                stop.wait(_POLL_SECONDS)

    def deliver_due(self) -> int:
        """Attempt everything that is due, some at once; returns how many attempts were made."""
        claimed = self._claim()
        if claimed:
            asyncio.run(self._attempt_all(claimed))
        return len(claimed)

    async def _attempt_all(self, claimed: Sequence[Delivery]) -> None:
        await asyncio.gather(*(self._attempt(delivery) for delivery in claimed))

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(_LIMIT_SECONDS):
                await self._post(delivery)
        except TimeoutError:
            error = DeliveryError(f"no answer within {_LIMIT_SECONDS:g} s")
        except DeliveryError as failed:
            error = failed
        except Exception as failed:
            # Whatever it is, the other deliveries go on, and this one is tried again.
            error = DeliveryError(f"unexpected {type(failed).__name__}")
        else:
            log.info("webhook delivered", extra={"facts": {"job_id": delivery.job_id}})
            await asyncio.to_thread(self._settle, delivery, None)
            return
        given_up = error.final or delivery.tries > len(self._backoff)
        log.warning(
            "webhook not delivered%s: %s",
            "; given up" if given_up else "",
            error,
            extra={"facts": {"job_id": delivery.job_id, "tries": delivery.tries}},
        )
        wait = None if given_up else self._backoff[delivery.tries - 1]
        await asyncio.to_thread(self._settle, delivery, wait)

    async def _post(self, delivery: Delivery) -> None:
        assert self._key is not None
        try:
            address = WebhookAddress.of(delivery.url, self._hosts)
        except UsageError as error:
            raise DeliveryError(str(error), final=True) from error
        # Connected to by number, so that the name cannot mean another host a moment later.
        number = await _resolve(address)
        body = json.dumps(delivery.payload, separators=(",", ":")).encode()
        timestamp = str(int(await asyncio.to_thread(self._now)))
        shown = f"[{number}]" if number.version == 6 else str(number)
        scheme = "https" if address.secure else "http"
        request = httpx.Request(
            "POST",
            f"{scheme}://{shown}:{address.port}{address.target}",
            content=body,
            headers={
                "Host": _host_header(address),
                "Content-Type": "application/json",
                "User-Agent": "wsi-pipeline",
                "webhook-id": delivery.message_id,
                "webhook-timestamp": timestamp,
                "webhook-signature": sign(self._key, delivery.message_id, timestamp, body),
            },
            extensions={
                "sni_hostname": address.host,
                "timeout": httpx.Timeout(_LIMIT_SECONDS).as_dict(),
            },
        )
        # No proxies and no keys from the environment. The answer's body is of no interest.
        async with httpx.AsyncClient(
            verify=self._trusted, trust_env=False, follow_redirects=False
        ) as client:
            try:
                response = await client.send(request, stream=True)
                await response.aclose()
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise DeliveryError(f"it cannot be reached: {reason}") from error
        if not response.is_success:
            raise DeliveryError(
                f"it was answered with status {response.status_code}",
                final=response.status_code == httpx.codes.GONE,
            )

    def _now(self) -> float:
        with self._database.read() as connection:
            at: float = connection.execute(sa.select(now())).scalar_one()
            return at

    def _claim(self) -> list[Delivery]:
        """What is due, now this worker's for a while."""
        due = (
            jobs.c.webhook.is_not(None),
            jobs.c.webhook_due <= now(),
            jobs.c.state.in_([state for state in JobState if state.is_final]),
        )
        with self._database.read() as connection:
            # Most of the time there is nothing, and nobody need wait for a writer's turn.
            if connection.execute(sa.select(jobs.c.id).where(*due).limit(1)).first() is None:
                return []
        wanted = (
            sa.select(jobs)
            .where(*due)
            .order_by(jobs.c.webhook_due)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        claimed = []
        with self._database.write() as connection:
            for row in connection.execute(wanted).mappings().all():
                connection.execute(
                    jobs.update()
                    .where(jobs.c.id == row["id"])
                    .values(
                        webhook_due=now() + _CLAIM_SECONDS, webhook_tries=row["webhook_tries"] + 1
                    )
                )
                claimed.append(
                    Delivery(
                        job_id=row["id"],
                        url=row["webhook"],
                        tries=row["webhook_tries"] + 1,
                        finished_at=row["finished_at"],
                        payload=_payload(row),
                    )
                )
        return claimed

    def _settle(self, delivery: Delivery, wait: float | None) -> None:
        """Note how an attempt ended, unless somebody else has taken it over since."""
        with self._database.write() as connection:
            connection.execute(
                jobs.update()
                .where(
                    jobs.c.id == delivery.job_id,
                    jobs.c.webhook_tries == delivery.tries,
                    jobs.c.finished_at == delivery.finished_at,
                )
                .values(webhook_due=None if wait is None else now() + wait)
            )


def signing_key(secret: str) -> bytes:
    """The bytes a secret stands for: base64 after ``whsec_``, otherwise its characters.

    Raises:
        UsageError: what follows ``whsec_`` is no base64.
    """
    if not secret.startswith(_ENCODED_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED_SECRET), validate=True)
    except ValueError as error:
        raise UsageError("webhook_secret: what follows whsec_ is not base64") from error


def sign(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The ``webhook-signature`` of a message."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def _payload(row: sa.RowMapping) -> dict[str, Any]:
    told = ("id", "slide_id", "model", "state", "result_id", "problem", "attempts")
    times = ("created_at", "started_at", "finished_at")
    return {
        "type": f"job.{row['state']}",
        "timestamp": row["finished_at"],
        "data": {key: row[key] for key in (*told, *times)},
    }


async def _resolve(address: WebhookAddress) -> Address:
    """The number of a host; every number it has must be allowed.

    Raises:
        DeliveryError: it has none, or one webhooks may not go to.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"its host is not known: {error}") from error
    # An IPv6 address may carry its network interface behind a percent sign.
    numbers = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not numbers:
        raise DeliveryError("its host has no address")
    if not all(address.permits(number) for number in numbers):
        raise DeliveryError("its host has an address that webhooks may not go to")
    return numbers[0]


def _host_header(address: WebhookAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    standard = 443 if address.secure else 80
    return host if address.port == standard else f"{host}:{address.port}"
