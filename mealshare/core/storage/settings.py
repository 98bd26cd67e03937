"""Where files live: the settings of both storages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mealshare.core.settings import Secret, setting


@dataclass(frozen=True)
class StorageSettings:
    """Where files live."""

    backend: str = setting(
        "local",
        "Where files live: in a folder of this machine, or in a bucket that speaks S3.",
        choices=("local", "s3"),
    )
    folder: Path = setting(Path("var/media"), "The folder of the local backend.")
    bucket: str = setting("", "The bucket of the S3 backend.")
    endpoint: str = setting("", "Where S3 is: https://host or http://host:port; empty: Amazon's.")
    public_endpoint: str = setting(
        "", "Where browsers reach the same S3 with media.delivery = redirect, if they see it under another address."
    )
    region: str = setting("", "The region of the bucket; empty: what boto3 finds, or us-east-1.")
    access_key: str = setting("", "The access key; empty: boto3 looks for one as it always does (environment, role).")
    secret_key: Secret = setting(Secret(""), "The secret key that belongs to it.")
    prefix: str = setting("", "What the keys in the bucket begin with, such as meals/; several sites may share one.")
    addressing: str = setting(
        "auto",
        "Where the bucket's name stands in an address: in its path, in the host name, or as fits the endpoint.",
        choices=("auto", "path", "virtual"),
    )
    timeout: float = setting(
        5.0, "Seconds to wait for S3 to take a connection, and to answer.", minimum=0.1, maximum=60
    )
