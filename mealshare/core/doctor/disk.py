"""Room: on each disk that the site writes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from pyramid.registry import Registry

from mealshare.core.doctor import DoctorSettings, Finding, Level
from mealshare.core.doctor.places import folders
from mealshare.core.settings import settings_of

_MEGABYTE = 1024 * 1024


def check(registry: Registry) -> Iterator[Finding]:
    """See `mealshare.core.doctor`; each disk is told of once."""
    least = settings_of(registry, DoctorSettings).free_megabytes
    told: set[int] = set()
    for what, folder in folders(registry):
        if not folder.is_dir():
            continue
        device = folder.stat().st_dev
        free = shutil.disk_usage(folder).free // _MEGABYTE
        if free < least and device not in told:
            told.add(device)
            level = Level.ERROR if free < least // 10 or free < 1 else Level.WARNING
            yield Finding(f"only {free} MB are free in {folder} ({what}); doctor.free_megabytes is {least}", level)
