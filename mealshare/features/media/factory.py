"""Makes the service from what a request, a job or a command has at hand."""

from __future__ import annotations

from pyramid.registry import Registry

from mealshare.core.settings import settings_of
from mealshare.core.work import Work
from mealshare.features.media.service import MediaService
from mealshare.features.media.settings import MediaSettings


def media_service(work: Work, registry: Registry) -> MediaService:
    """The service for one unit of work."""
    return MediaService(work, registry["storage"], settings_of(registry, MediaSettings))
