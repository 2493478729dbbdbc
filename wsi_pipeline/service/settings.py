"""Settings of the service: from flags, ``WSI_…`` variables and ``wsi.toml``, in this order."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from wsi_pipeline.analysis_settings import AnalysisSettings
from wsi_pipeline.errors import UsageError
from wsi_pipeline.service.text import check_label

_APP = "wsi-pipeline"
_GIB = 2**30


def _network(text: str) -> str:
    """An address, or a network without bits beyond its prefix: others would silently match nothing.

    Raises:
        ValueError: it is neither.
    """
    ipaddress.ip_network(text)
    return text


def _workspace(name: str) -> str:
    """The name of a workspace.

    Raises:
        ValueError: there can be none of this name.
    """
    try:
        return check_label("workspace", name)
    except UsageError as error:
        raise ValueError(str(error)) from error


Proxy = Annotated[str, AfterValidator(_network)]


class WatchedFolder(BaseModel):
    """A folder whose slides are analysed as they come.

    Attributes:
        path: The folder; those below it are watched too.
        model: What its slides are analysed with.
        results: Where results go, in the same tree; None puts each beside its slide.
        still_seconds: A file that has not grown for so long is complete.
        workspace: Whose its slides and jobs are.
        analysis: How they are analysed, where it is not as the package says. ``device`` and
            ``precision`` are the service's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: Path
    model: str
    results: Path | None = None
    still_seconds: Annotated[float, Field(ge=0)] = 10.0
    workspace: Annotated[str, AfterValidator(_workspace)] = "default"
    analysis: AnalysisSettings = AnalysisSettings()

    @model_validator(mode="after")
    def _compute_as_the_service(self) -> Self:
        own = sorted({"device", "precision"} & self.analysis.model_fields_set)
        if own:
            raise ValueError(f"{' and '.join(own)}: a setting of the service, not of a folder")
        return self


class ServiceSettings(BaseSettings):
    """Everything the service can be told.

    Attributes:
        data_dir: Database, uploads, slides and results, unless told otherwise below.
        cache_dir: Converted models; may be deleted at any time.
        models_dir: Model packages found by name.
        database: Address of the database; None is SQLite in ``data_dir``.
        storage: Where slides and results lie: a folder or ``s3://bucket/prefix``; None is
            ``data_dir``.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        public_hosts: Names under which a reverse proxy reaches the service; while it listens to
            this machine only, other names than this machine's are refused without them.
        trusted_proxies: Addresses and networks (``10.0.0.0/8``) of reverse proxies, whose
            ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed; of nobody else's.
        token: The first administrator's key; None makes one. It is kept in ``data_dir``.
        session_idle_seconds: A browser that asked nothing for so long is signed out.
        session_seconds: A browser is signed out so long after it signed in, whatever it does.
        workers: Worker processes ``wsi serve`` starts; 0 leaves that to ``wsi worker``.
        device: As in ``wsi run``.
        precision: As in ``wsi run``.
        roots: Folders whose files may be registered by their path.
        buckets: ``s3://bucket/prefix`` addresses whose objects may be registered.
        watch: Folders whose slides are analysed as they come.
        scan_seconds: How often watched folders are looked through.
        max_upload_bytes: Largest slide taken.
        quota_bytes: Most a workspace may keep; 0 for no limit.
        upload_expiry_seconds: An upload nobody continued for so long is removed.
        lease_seconds: How long a silent worker keeps its job.
        checks: How many uploaded slides each API process checks at the same time.
        check_seconds: Longest a slide may take to be checked.
        check_memory_bytes: Most memory one check may use.
        requests_per_minute: Of one key, apart from tiles; more are answered 429. 0 for no limit.
        tile_requests_per_minute: Of one key.
        webhook_secret: Signs webhooks; without it none are sent.
        webhook_hosts: Hosts webhooks may go to.
        open_slides: Slides kept open for tiles.
        log_format: ``json``, or ``text`` for people.
        scheduler: Address of a Dask scheduler for the workers, ``tcp://host:port``.
        stop_seconds: Longest an orderly stop may take.
    """

    # An empty variable is one that was left open, as in a composition's: never an empty secret.
    model_config = SettingsConfigDict(
        env_prefix="WSI_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        # No number here can be NaN or infinite.
        allow_inf_nan=False,
        frozen=True,
        extra="ignore",
    )

    data_dir: Path = Path(platformdirs.user_data_dir(_APP)) / "service"
    cache_dir: Path = Path(platformdirs.user_cache_dir(_APP))
    models_dir: Path = Path(platformdirs.user_data_dir(_APP)) / "models"
    database: str | None = None
    storage: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    public_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Proxy, ...] = ("127.0.0.1", "::1")
    token: SecretStr | None = None
    session_idle_seconds: Annotated[float, Field(gt=0)] = 12 * 3600.0
    session_seconds: Annotated[float, Field(gt=0)] = 7 * 86400.0
    workers: Annotated[int, Field(ge=0)] = 1
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    roots: tuple[Path, ...] = ()
    buckets: tuple[str, ...] = ()
    watch: tuple[WatchedFolder, ...] = ()
    scan_seconds: Annotated[float, Field(gt=0)] = 5.0
    max_upload_bytes: Annotated[int, Field(gt=0)] = 64 * _GIB
    quota_bytes: Annotated[int, Field(ge=0)] = 0
    upload_expiry_seconds: Annotated[float, Field(gt=0)] = 7 * 86400.0
    lease_seconds: Annotated[float, Field(gt=0)] = 30.0
    checks: Annotated[int, Field(gt=0)] = 3
    check_seconds: Annotated[float, Field(gt=0)] = 120.0
    check_memory_bytes: Annotated[int, Field(gt=0)] = 6 * _GIB
    requests_per_minute: Annotated[int, Field(ge=0)] = 6000
    tile_requests_per_minute: Annotated[int, Field(ge=0)] = 60000
    webhook_secret: SecretStr | None = None
    webhook_hosts: tuple[str, ...] = ()
    open_slides: Annotated[int, Field(gt=0)] = 16
    log_format: Literal["json", "text"] = "json"
    scheduler: str | None = None
    stop_seconds: Annotated[float, Field(gt=0)] = 25.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags before variables before ``wsi.toml`` in the working folder."""
        toml = TomlConfigSettingsSource(settings_cls, Path("wsi.toml"))
        return init_settings, env_settings, toml

    @field_validator("database")
    @classmethod
    def _has_its_password(cls, address: str | None) -> str | None:
        # "wsi:@host" is what is left of "wsi:${POSTGRES_PASSWORD}@host" where that is empty; who
        # needs no password writes "wsi@host". Without a host it is a socket of this machine.
        if address and re.match(r"\w+(\+\w+)?://[^/@:]*:@(?!/)", address):
            raise ValueError("the password in the address is empty")
        return address

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        # A path that depends on where a process was started is one that is lost.
        for name in ("data_dir", "cache_dir", "models_dir"):
            object.__setattr__(self, name, getattr(self, name).expanduser().absolute())
        if self.storage and "://" not in self.storage:
            storage = str(Path(self.storage).expanduser().absolute())
            object.__setattr__(self, "storage", storage)
        return self

    @property
    def database_url(self) -> str:
        """Address of the database."""
        return self.database or f"sqlite:///{self.data_dir / 'service.db'}"

    @property
    def storage_url(self) -> str:
        """Folder or ``s3://`` address of slides and results."""
        return self.storage or str(self.data_dir / "store")

    @property
    def spool_dir(self) -> Path:
        """Uploads until they are checked; on the disk of the process that takes them."""
        return self.data_dir / "uploads"

    @property
    def image_spool_dir(self) -> Path:
        """Single images while they are received; each for one request."""
        return self.data_dir / "images"

    @property
    def work_dir(self) -> Path:
        """Unfinished analyses and local copies of stored slides; may be deleted when idle."""
        return self.data_dir / "work"
