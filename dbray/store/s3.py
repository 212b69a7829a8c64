"""S3, and whatever speaks like it: set up from the environment as the AWS tools read it."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pyarrow import fs

from dbray.errors import UserError

# A request that is throttled or dropped waits 0.5, 1, 2 ... seconds on average and is sent again:
# half a minute in all.
PATIENT = {"attempts": 7, "connect_timeout": 5, "request_timeout": 30}
QUICK = {"attempts": 2, "connect_timeout": 3, "request_timeout": 5}
PARAMETERS = ("endpoint_override", "region", "scheme")  # that a URI may set


class S3(fs.S3FileSystem):  # type: ignore[misc]
    """pyarrow's S3 with retries that survive pickling, as pyarrow's own do not.

    Keys are no part of it: the SDK reads them from the environment (``AWS_ACCESS_KEY_ID``,
    ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``), its files or the machine's role, so that
    nothing that is pickled can hold them.
    """

    def __init__(self, server: Mapping[str, str], patience: Mapping[str, int] = PATIENT) -> None:
        if "endpoint_override" in server:
            # Not every other server knows the checksum that the SDK would append to each upload.
            os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        self.server, self.patience = dict(server), dict(patience)
        limits: dict[str, Any] = dict(patience)
        super().__init__(
            **server,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=limits.pop("attempts")),
            **limits,
            allow_delayed_open=True,  # a small file is one request, not three
            # Folders that are there are not marked again: to some servers, the mark is a file.
            check_directory_existence_before_creation=True,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return S3, (self.server, self.patience)

    def quick(self) -> "S3":
        """The same with little patience: to find out whether it works at all."""
        return S3(self.server, QUICK)


def open_s3(uri: str) -> tuple[S3, str]:
    """File system and path for ``s3://bucket/prefix``.

    What the URI's parameters leave open comes from ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``
    and from ``AWS_REGION`` or ``AWS_DEFAULT_REGION``; pyarrow alone would read some of these, and
    prefer the default region.

    Raises
    ------
    UserError
        If there is no bucket in the URI, or a parameter that means nothing here.
    OSError
        If a bucket on AWS cannot be asked for its region.
    """
    parts = urlsplit(uri)
    server = dict(parse_qsl(parts.query))
    for name in server.keys() - set(PARAMETERS):
        raise UserError(f"storage s3://{parts.netloc}: ?{name}= is none of {', '.join(PARAMETERS)}")
    if not parts.netloc:
        raise UserError("storage s3://: names no bucket; give s3://BUCKET/PREFIX")
    endpoint = server.get("endpoint_override") or _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = server.get("region") or _first("AWS_REGION", "AWS_DEFAULT_REGION")
    if endpoint:
        server["endpoint_override"] = endpoint
    elif not region:
        region = fs.resolve_s3_region(parts.netloc)
    if region:
        server["region"] = region
    return S3(server), f"{parts.netloc}{unquote(parts.path)}".rstrip("/")


def _first(*names: str) -> str | None:
    """The first of these environment variables that says something."""
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
