"""What S3 and its library say when something goes wrong, told to a host: which setting to look at, and no secrets.

The codes are those of Amazon's list of error responses, and of MinIO and Ceph where they have others.  An answer to HEAD
has no body, so its code is the bare status.
"""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from mealshare.core.storage.interface import StorageError, StorageFull

#: All that the library raises; an answer that is not XML is not among its own errors.
FAILURES = (BotoCoreError, ClientError, ResponseParserError)

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})
_BUSY = frozenset({"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "Throttling", "429"})
_HINTS = {
    "NoSuchBucket": "there is no such bucket: look at storage.bucket",
    "InvalidAccessKeyId": "it does not know the access key: look at storage.access_key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: look at storage.secret_key",
    "AccessDenied": "the access key may not do that",
    "403": "the access key is wrong, or may not do that",
    "ExpiredToken": "the credentials have expired",
    "InvalidToken": "the credentials are not valid",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AuthorizationHeaderMalformed": "the bucket is in another region: look at storage.region",
    "PermanentRedirect": "the bucket is somewhere else: look at storage.region and storage.endpoint",
    "301": "the bucket is somewhere else: look at storage.region and storage.endpoint",
}


def is_missing(error: BaseException, *, bare: bool = False) -> bool:
    """Whether ``error`` says that there is no such thing.

    ``bare``: in answer to HEAD, where nothing but the status tells.  Elsewhere a bare 404 is no answer of S3 but of
    another server at a wrong address, and must not be taken for a file that is lost.
    """
    return isinstance(error, ClientError) and _code(error) == ("404" if bare else "NoSuchKey")


def is_passing(error: BaseException) -> bool:
    """Whether it is worth trying once more at once; not after a timeout, for somebody has waited long enough."""
    if isinstance(error, ClientError):
        return _is_busy(error)
    return isinstance(error, NoConnectionError | HTTPClientError | IncompleteReadError) and not _timed_out(error)


def is_away(error: BaseException) -> bool:
    """Whether ``error`` says something about S3 as a whole, so that the next request would fare no better."""
    if isinstance(error, ClientError):
        return _is_busy(error)
    return not isinstance(error, NoCredentialsError | PartialCredentialsError)


def explain(error: BaseException, doing: str, where: str) -> StorageError:
    """What to raise for ``error``: a sentence that says what could not be done, and why.

    Only names that we know are repeated, for the library's own sentences may hold an address with a signature in it.
    """
    if isinstance(error, ClientError):
        code = _code(error)
        hint = _HINTS.get(code, "")
        words = f"cannot {doing}: S3 at {where} says {code}" + (f", {hint}" if hint else "")
        return StorageFull(words) if code in _FULL or _status(error) == 507 else StorageError(words)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return StorageError(f"cannot {doing}: no access key: give storage.access_key and storage.secret_key, or a role")
    if _timed_out(error):
        return StorageError(f"cannot {doing}: S3 at {where} takes longer than storage.timeout")
    if isinstance(error, ResponseParserError):
        return StorageError(f"cannot {doing}: what answers at {where} is not S3: look at storage.endpoint")
    return StorageError(f"cannot {doing}: S3 at {where} does not answer ({type(error).__name__})")


def _code(error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", "")) or str(_status(error))
    # A stranger's words go into no log.
    return code if code.isalnum() and code.isascii() and len(code) <= 60 else str(_status(error))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_busy(error: ClientError) -> bool:
    status = _status(error)
    return (status >= 500 and status not in (501, 507) and _code(error) not in _FULL) or _code(error) in _BUSY


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, ConnectTimeoutError | ReadTimeoutError)
