"""What the service can be told: by arguments, else the environment, else a file, else the defaults.

The environment variable of a setting is ``JDOBB_`` and its name. The file is TOML with the same names: the
one that ``JDOBB_SETTINGS_FILE`` names, else ``jdobb.toml`` in the current directory if there is one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError as UnreadableSettings

from jdobb_service.keys import ApiKey, parse_keys
from jdobb_service.near import near

PREFIX = "JDOBB_"
FILE_VARIABLE = "JDOBB_SETTINGS_FILE"
DEFAULT_FILE = "jdobb.toml"

_SECRET = ("backend_url", "api_keys", "sha256", "signing_secret")

WEEK = 604_800.0
DAY = 86_400.0
MEBIBYTE = 1_048_576


class InvalidSettings(ValueError):  # noqa: N818 - reads as the fact that it states
    """Settings that cannot be used; one line for each, naming it."""


class Settings(BaseSettings):
    """The settings of one service process. Durations are seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, allow_inf_nan=False)

    backend_url: str = Field(
        default="sqlite:///jdobb.db",
        repr=False,  # it may hold a password
        description="Where jobs are stored: `sqlite:///relative.db`, `sqlite:////absolute.db`, "
        "`redis://host:6379/0` or `memory://`.",
    )
    namespace: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="Which of several queues in one backend; two namespaces share nothing.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. One that is not loopback needs API keys or `allow_anonymous`.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    max_concurrent: int = Field(
        default=10, ge=1, le=10_000, description="How many handlers run at once in each process."
    )
    workers: bool = Field(
        default=True, description="Whether this process runs the handlers that it was given."
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many processes `jdobb serve` runs at one address, each with handlers of its own; "
        "more than one need a store that they can share.",
    )
    shutdown_grace: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="Seconds that running handlers get to finish at shutdown; then their jobs are released.",
    )
    allow_anonymous: bool = Field(
        default=False, description="Serve other addresses than loopback although there are no API keys."
    )
    allowed_hosts: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="Host names that requests may name, separated by commas; `*` for any. Left out: the "
        "loopback names without API keys, any with them.",
    )
    api_keys: Annotated[tuple[ApiKey, ...], NoDecode] = Field(
        default=(),
        repr=False,
        description="API keys as `id:sha256:scope+scope[:job type+job type]`, separated by commas; scopes "
        "are `enqueue`, `read`, `cancel`, `work`, `admin`. `jdobb keys new` makes one.",
    )
    api_keys_file: Path | None = Field(
        default=None, description="File with more API keys, one on a line, `#` before comments."
    )
    signing_secret: str | None = Field(
        default=None,
        min_length=32,
        repr=False,
        description="Secret of at least 32 characters that signs addresses of event streams and sessions; "
        "all instances need the same. Left out: a random one for each `jdobb serve`.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins whose pages may call the service, separated by commas, such as "
        "`https://app.example.com`.",
    )
    closed_job_types: bool = Field(
        default=False,
        description="Refuse jobs of a type that has no handler here, that no worker published and no "
        "operator created.",
    )
    lease: float = Field(
        default=30.0,
        ge=0.1,
        le=DAY,
        description="Seconds that a claim lasts without a sign of life of its worker.",
    )
    retention: float = Field(default=WEEK, ge=0, description="Seconds that finished jobs are kept.")
    default_ttl: float | None = Field(
        default=None,
        gt=0,
        description="Seconds within which a job must have started, for jobs that do not say it themselves.",
    )
    max_payload_bytes: int = Field(
        default=MEBIBYTE,
        ge=1,
        le=2**30,
        description="Bytes of JSON that `data`, `metadata` and `results` of a job may each have.",
    )
    max_pending: int | None = Field(
        default=None, ge=0, description="Pending jobs that each job type may have; left out: any number."
    )
    max_streams: int = Field(
        default=1000,
        ge=1,
        description="Event streams open at once, and apart from them as many waiting requests.",
    )
    max_streams_per_caller: int | None = Field(
        default=None,
        ge=1,
        description="How many of the event streams one API key may have open; left out: all of them.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of what is logged, to standard error."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="`json` is one object on a line; `auto` is `console` on a terminal, else `json`.",
    )

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _parse_keys(cls, value: Any) -> Any:
        return parse_keys(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _distinct_keys(self) -> Self:
        keys = self.keys()
        if len({key.id for key in keys}) < len(keys) or len({key.sha256 for key in keys}) < len(keys):
            msg = "api_keys: two keys have the same id or the same secret"
            raise ValueError(msg)
        return self

    def keys(self) -> tuple[ApiKey, ...]:
        """Return all API keys, those of the keys file read now."""
        if self.api_keys_file is None:
            return self.api_keys
        try:
            lines = parse_keys(self.api_keys_file.read_text(encoding="utf-8"))
        except OSError as error:
            msg = f"api_keys_file: cannot read {str(self.api_keys_file)!r}: {error.strerror}"
            raise ValueError(msg) from None
        try:
            return self.api_keys + tuple(ApiKey.model_validate(line) for line in lines)
        except ValidationError as error:
            msg = f"api_keys_file: {_places(error)[0]}"
            raise ValueError(msg) from None

    @property
    def has_private_store(self) -> bool:
        """Tell whether the jobs are in the memory of one process, which no other can open."""
        scheme, _, rest = self.backend_url.partition("://")
        return scheme == "memory" or (scheme == "sqlite" and unquote(rest) == "/:memory:")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=read_file())


def load_settings(**arguments: Any) -> Settings:
    """Return the settings in force; arguments win, and None leaves a setting to the other sources.

    Raises ``InvalidSettings`` whose text has one line for each setting that cannot be used.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_places(error))) from None
    except UnreadableSettings as error:
        raise InvalidSettings(str(error)) from None


def read_file() -> dict[str, Any]:
    """Return what the settings file says, nothing when there is none. Raises ``InvalidSettings``."""
    named = os.environ.get(FILE_VARIABLE)
    path = Path(named or DEFAULT_FILE)
    if not named and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettings(f"cannot read the settings file {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidSettings(f"settings file {str(path)!r} is not TOML: {error}") from None


def _places(error: ValidationError) -> list[str]:
    """Return one line for each error: which setting, what is expected, and what came unless it is secret."""
    lines = []
    for item in error.errors(include_url=False):
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            lines.append(f"no setting has the name {place!r}{near(place, Settings.model_fields)}")
            continue
        came = item["input"]
        shown = isinstance(came, (str, int, float)) and not place.startswith(_SECRET)
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" + (f", got {came!r}" if shown else "") if place else message)
    return lines
