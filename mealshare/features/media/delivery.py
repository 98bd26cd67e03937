"""How a picture leaves, once it is known that the one who asks may see it: three ways with one interface.

- ``app``: the application reads the file and sends it.
- ``accel``: it answers with the name of a place that only the web server in front can see (nginx: ``internal``), and that
  sends the file, parts of it included.  All headers are those of `app`; the server must be told to pass them on, because
  by itself it keeps a few only (docs/hosting.md has the lines).
- ``redirect``: it sends the browser on to an address of S3 that is good for some minutes.

Whoever may not see the picture never comes here, whichever the way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from mealshare.api.etag import if_none_match
from mealshare.core.db.session import release_reader
from mealshare.core.errors import NotFound
from mealshare.core.security.headers import IMAGE_ORIGINS
from mealshare.core.settings import SettingsError
from mealshare.core.storage import LocalStorage, NotStored, Storage
from mealshare.features.media.images import VARIANT_TYPE
from mealshare.features.media.settings import MediaSettings

#: A picture is inert: it runs nothing, loads nothing, and is no page of another site's.
PICTURE_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("Cross-Origin-Resource-Policy", "same-site"),
    ("X-Content-Type-Options", "nosniff"),
)
#: Who may see the picture can change at any moment, so it may be kept but must be asked about.
PRIVATE = (("Cache-Control", "private, no-cache"), ("Vary", "Cookie, Authorization"))
#: The address is new with each picture, and everybody may see it.
PUBLIC = (("Cache-Control", "public, max-age=31536000, immutable"),)
#: Where the web server in front finds what it is told to send.
ACCEL_PREFIX = "/_media"
DELIVERY = "media_delivery"
#: Signed addresses that are kept: about a kilobyte each.
_KEPT = 4096


@dataclass(frozen=True)
class Picture:
    """What is to leave: the file in the storage, its name for those who save it, its entity tag, and who may see it."""

    file: str
    name: str
    etag: str
    public: bool = False

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers of every answer that is about the picture, 304 included."""
        return [*PICTURE_HEADERS, *(PUBLIC if self.public else PRIVATE), ("ETag", self.etag)]

    @property
    def whole_headers(self) -> list[tuple[str, str]]:
        """Those of an answer that is the picture."""
        disposition = ("Content-Disposition", f'inline; filename="{self.name}"')
        return [*self.headers, ("Content-Type", str(VARIANT_TYPE)), disposition]


class Delivery(Protocol):
    """One way."""

    def answer(self, request: Request, picture: Picture) -> Response:
        """The answer to a GET or HEAD for the picture.  Raises NotFound where the file is not there, StorageError."""


@dataclass(frozen=True)
class FromHere:
    """The application sends the file."""

    storage: Storage

    def answer(self, request: Request, picture: Picture) -> Response:
        """See Delivery."""
        if if_none_match(request, picture.etag):
            return _not_modified(picture)
        if self.storage.shared:
            release_reader(request)
        try:
            with self.storage.open(picture.file) as stored:
                return Response(stored.read(), headerlist=picture.whole_headers)
        except NotStored:
            raise NotFound from None


@dataclass(frozen=True)
class ByProxyFromDisk:
    """The web server in front sends the file from the storage's folder, which it can read."""

    storage: LocalStorage

    def answer(self, request: Request, picture: Picture) -> Response:
        """See Delivery."""
        if if_none_match(request, picture.etag):
            return _not_modified(picture)
        path = self.storage.path(picture.file)
        if path is None:
            raise NotFound
        return _by_proxy(picture, f"/{path.relative_to(self.storage.folder)}")


@dataclass(frozen=True)
class ByProxyFromS3:
    """The web server in front fetches the file from S3, with a signed address: S3 needs to be seen by nobody else."""

    signed: SignedAddresses

    def answer(self, request: Request, picture: Picture) -> Response:
        """See Delivery."""
        if if_none_match(request, picture.etag):
            return _not_modified(picture)
        parts = urlsplit(self.signed.of(picture, head=request.method == "HEAD").url)
        return _by_proxy(picture, f"{parts.path}?{parts.query}")


@dataclass(frozen=True)
class FromS3:
    """S3 sends the file."""

    signed: SignedAddresses

    def answer(self, request: Request, picture: Picture) -> Response:
        """See Delivery.  302 whatever the client has: what it asks about its copy is for S3 (RFC 9110 section 13.2.1)."""
        address = self.signed.of(picture, head=request.method == "HEAD")
        headers = [*PICTURE_HEADERS, *PRIVATE, ("Location", address.url)]
        if picture.public:
            # Half of what is left, because the clocks of two machines differ.
            left = max(0, int(address.until - time.time()) // 2)
            headers = [*PICTURE_HEADERS, ("Cache-Control", f"public, max-age={left}"), ("Location", address.url)]
        return Response(status="302 Found", headerlist=headers)


@dataclass(frozen=True)
class SignedAddress:
    """An address that S3 answers until a moment, in seconds since 1970."""

    url: str
    until: float


class SignedAddresses:
    """Addresses that are good for at least half of ``seconds``.

    One is given for half of that time to all who ask: signing takes longer than all else here, and a browser that
    comes back finds what it kept of it.
    """

    def __init__(self, storage: Storage, seconds: int) -> None:
        def sign(file: str, name: str, head: bool, _window: int) -> SignedAddress:
            until = time.time() + seconds
            url = storage.url(file, seconds, str(VARIANT_TYPE), name, head=head)
            if url is None:
                raise TypeError("this storage signs no addresses")
            return SignedAddress(url, until)

        self._sign = lru_cache(maxsize=_KEPT)(sign)
        self._half = seconds / 2

    def of(self, picture: Picture, *, head: bool) -> SignedAddress:
        """The address of the picture, for GET or for HEAD.  Raises StorageError."""
        return self._sign(picture.file, picture.name, head, int(time.time() / self._half))


def make_delivery(settings: MediaSettings, storage: Storage) -> Delivery:
    """The way that ``settings`` name; raises SettingsError for one that ``storage`` does not know."""
    if settings.delivery == "app":
        return FromHere(storage)
    if isinstance(storage, LocalStorage):
        if settings.delivery == "redirect":
            raise SettingsError(
                "the setting media.delivery is wrong: only S3 can be redirected to, and storage.backend is local"
            )
        return ByProxyFromDisk(storage)
    signed = SignedAddresses(storage, settings.url_seconds)
    return FromS3(signed) if settings.delivery == "redirect" else ByProxyFromS3(signed)


def install(registry: Registry, settings: MediaSettings) -> None:
    """Register the way, and let pages show pictures from where it leads."""
    storage: Storage = registry["storage"]
    registry[DELIVERY] = make_delivery(settings, storage)
    origin = storage.origin() if settings.delivery == "redirect" else None
    if origin is not None:
        registry.setdefault(IMAGE_ORIGINS, []).append(origin)


def _not_modified(picture: Picture) -> Response:
    return Response(status="304 Not Modified", headerlist=picture.headers)


def _by_proxy(picture: Picture, place: str) -> Response:
    return Response(headerlist=[*picture.whole_headers, ("X-Accel-Redirect", f"{ACCEL_PREFIX}{place}")])
