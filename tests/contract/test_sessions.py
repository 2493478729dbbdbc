"""Browser sessions, on SQLite and on PostgreSQL."""

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from jobs_support import Store

from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.access import Access, Scope
from wsi_pipeline.service.database import now
from wsi_pipeline.service.keys import ApiKeys
from wsi_pipeline.service.sessions import Session, Sessions
from wsi_pipeline.service.tables import api_keys
from wsi_pipeline.service.tables import audit as audit_table
from wsi_pipeline.service.tables import sessions as table

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def keys(store: Store) -> ApiKeys:
    return ApiKeys(store.database)


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store.database, idle_seconds=12 * HOUR, absolute_seconds=7 * DAY)


def key_of(keys: ApiKeys, workspace: str = "lab", scope: Scope = Scope.SUBMIT) -> tuple[str, str]:
    """Id and secret of a new key."""
    made, secret = keys.create(workspace, f"{scope} of {workspace}", scope)
    return made.id, secret


def signed_in(sessions: Sessions, key: str) -> tuple[Access, str]:
    started = sessions.start(key)
    assert started is not None
    return started


def change(store: Store, **values: object) -> None:
    store.change(table.update().values(**values))


def noted(store: Store) -> list[tuple[str, str, str]]:
    """Action, object and actor of the audit log's lines about sessions."""
    wanted = sa.select(audit_table).where(audit_table.c.action.startswith("session."))
    with store.database.read() as connection:
        lines = connection.execute(wanted.order_by(audit_table.c.id)).all()
    return [(line.action, line.object_id, line.actor) for line in lines]


def test_a_session_stands_for_its_key_and_is_kept_hashed(
    store: Store, keys: ApiKeys, sessions: Sessions
) -> None:
    key_id, key = key_of(keys)
    access, secret = signed_in(sessions, key)
    assert sessions.find(secret) == access
    assert (access.key_id, access.scope) == (key_id, Scope.SUBMIT)
    assert keys.find(key) == Access(access.workspace_id, key_id, Scope.SUBMIT)
    # 32 bytes in base64, and other ones each time.
    assert len(secret) == 43
    assert signed_in(sessions, key)[1] != secret
    with store.database.read() as connection:
        kept = connection.execute(sa.select(table)).mappings().all()
    assert not [value for row in kept for value in row.values() if value in (secret, key)]
    assert noted(store)[0] == ("session.start", access.session_id, key_id)


@pytest.mark.parametrize("wrong", ["", "wsi_nonsense", "\ud800", "x" * 500])
def test_what_is_no_session_is_none(keys: ApiKeys, sessions: Sessions, wrong: str) -> None:
    _, key = key_of(keys)
    access, secret = signed_in(sessions, key)
    assert sessions.start(wrong) is None
    # Neither the key, nor the id that lists show, nor anything else.
    for presented in (wrong, key, access.session_id or "", secret + "x", secret.upper()):
        assert sessions.find(presented) is None


def test_it_ends_when_it_is_signed_out(store: Store, keys: ApiKeys, sessions: Sessions) -> None:
    _, key = key_of(keys)
    access, secret = signed_in(sessions, key)
    other, other_secret = signed_in(sessions, key)
    assert access.session_id is not None
    assert sessions.is_good(access)
    assert sessions.end(access.session_id, access)
    assert sessions.find(secret) is None
    assert not sessions.is_good(access)
    assert not sessions.end(access.session_id, access)
    assert sessions.find(other_secret) == other
    assert noted(store)[-1] == ("session.end", access.session_id, access.key_id)


def test_a_browser_that_signs_in_again_has_one_session(keys: ApiKeys, sessions: Sessions) -> None:
    _, key = key_of(keys)
    _, before = signed_in(sessions, key)
    assert sessions.start("wrong", instead_of=before) is None
    assert sessions.find(before) is not None
    started = sessions.start(key, instead_of=before)
    assert started is not None
    assert sessions.find(before) is None
    assert [one.id for one in sessions.list()] == [started[0].session_id]


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_it_ends_with_its_key(store: Store, keys: ApiKeys, sessions: Sessions, how: str) -> None:
    key_id, key = key_of(keys)
    access, secret = signed_in(sessions, key)
    if how == "revoked":
        keys.revoke(key_id)
    else:
        store.change(api_keys.update().where(api_keys.c.id == key_id).values(expires_at=now() - 1))
    assert sessions.find(secret) is None
    assert not sessions.is_good(access)
    assert sessions.start(key) is None
    assert sessions.list() == []
    assert sessions.over() == [access.session_id]


@pytest.mark.parametrize("limit", ["idle_until", "expires_at"])
def test_it_ends_with_its_time(store: Store, keys: ApiKeys, sessions: Sessions, limit: str) -> None:
    _, key = key_of(keys)
    access, secret = signed_in(sessions, key)
    (listed,) = sessions.list()
    assert listed.idle_until - listed.created_at == pytest.approx(12 * HOUR, abs=1)
    assert listed.expires_at - listed.created_at == pytest.approx(7 * DAY, abs=1)
    assert sessions.find(secret) == access
    change(store, **{limit: now() - 1})
    assert sessions.find(secret) is None
    assert not sessions.is_good(access)
    # What is over does not come back by a use that was still to be written.
    sessions.renew()
    assert sessions.find(secret) is None


def test_use_puts_the_idle_limit_off_and_is_written_apart(
    store: Store, keys: ApiKeys, sessions: Sessions
) -> None:
    _, key = key_of(keys)
    _, secret = signed_in(sessions, key)
    _, unused = signed_in(sessions, key)
    change(store, used_at=now() - HOUR, idle_until=now() + 60)
    before = sessions.list()
    for _ in range(3):
        assert sessions.find(secret) is not None
    assert sessions.list() == before, "looking up writes nothing"
    sessions.renew()
    used, idle = sessions.list()
    assert used.idle_until - before[0].idle_until == pytest.approx(12 * HOUR - 60, abs=5)
    assert used.used_at - before[0].used_at == pytest.approx(HOUR, abs=5)
    assert used.expires_at == before[0].expires_at
    assert idle == before[1]
    assert sessions.find(unused) is not None
    assert sessions.renew_seconds == 60
    assert Sessions(store.database, idle_seconds=30, absolute_seconds=60).renew_seconds == 3


def test_limits_come_from_the_databases_clock(store: Store, keys: ApiKeys) -> None:
    brief = Sessions(store.database, idle_seconds=0.5, absolute_seconds=HOUR)
    short = Sessions(store.database, idle_seconds=HOUR, absolute_seconds=1.0)
    _, key = key_of(keys)
    (_, idle), (_, kept) = signed_in(brief, key), signed_in(short, key)
    deadline = time.monotonic() + 30
    while brief.find(idle) is not None or short.find(kept) is not None:
        short.renew()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_who_sees_and_ends_which(keys: ApiKeys, sessions: Sessions) -> None:
    _, ours = key_of(keys)
    _, colleague = key_of(keys, scope=Scope.VIEW)
    _, head = key_of(keys, scope=Scope.ADMIN)
    _, strangers = key_of(keys, "elsewhere", Scope.ADMIN)
    made = {key: signed_in(sessions, key)[0] for key in (ours, colleague, head, strangers)}

    def ids(found: list[Session]) -> set[str | None]:
        return {one.id for one in found}

    own = {key: access.session_id for key, access in made.items()}
    assert ids(sessions.list(made[ours])) == {own[ours]}
    assert ids(sessions.list(made[head])) == {own[ours], own[colleague], own[head]}
    assert ids(sessions.list(made[strangers])) == {own[strangers]}
    assert ids(sessions.list()) == set(own.values())
    for access in (made[ours], made[strangers]):
        assert not sessions.end(own[colleague] or "", access)
    assert sessions.end(own[colleague] or "", made[head])
    assert not sessions.is_good(made[colleague])
    assert sessions.is_good(made[ours])


def test_all_of_a_key_are_signed_out(store: Store, keys: ApiKeys, sessions: Sessions) -> None:
    key_id, key = key_of(keys)
    _, other = key_of(keys)
    for _ in range(3):
        signed_in(sessions, key)
    _, kept = signed_in(sessions, other)
    assert sessions.end_all(key_id) == 3
    assert sessions.end_all(key_id) == 0
    assert sessions.find(kept) is not None
    assert [line[2] for line in noted(store)[-3:]] == ["system"] * 3
    with pytest.raises(UsageError, match="wsi keys list"):
        sessions.end_all("nonsense")


def test_what_is_over_is_removed(store: Store, keys: ApiKeys, sessions: Sessions) -> None:
    spent, spent_key = key_of(keys)
    _, key = key_of(keys)
    ends: list[Callable[[Access], object]] = [
        lambda access: sessions.end(access.session_id or ""),
        lambda access: store.change(
            table.update().where(table.c.id == access.session_id).values(idle_until=now() - 1)
        ),
    ]
    over = [signed_in(sessions, key)[0] for _ in ends]
    for end, access in zip(ends, over, strict=True):
        end(access)
    over.append(signed_in(sessions, spent_key)[0])
    keys.revoke(spent)
    _, kept = signed_in(sessions, key)
    ids = {access.session_id for access in over}
    assert set(sessions.over()) == ids
    assert set(sessions.forget()) == ids
    assert sessions.over() == []
    assert sessions.find(kept) is not None
