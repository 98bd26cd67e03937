"""Django with its ORM and templates, and Django REST Framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
from django.conf import settings
from sqlalchemy import make_url

from benchmarks.frameworks.words import Unauthorized, claims_of

KIND = "wsgi"


def configure(url: str) -> None:
    """Settings as `startproject` leaves them, without what these requests have no use for: sessions, admin, messages."""
    made = make_url(url)
    if made.get_backend_name() == "sqlite":
        options = {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
        }
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": made.database, "OPTIONS": options}
    else:
        database = {
            "ENGINE": "django.db.backends.postgresql", "NAME": made.database, "HOST": made.host, "PORT": made.port,
            "USER": made.username, "PASSWORD": made.password or "",
        }  # fmt: skip
    settings.configure(
        DATABASES={"default": {**database, "CONN_MAX_AGE": None}},
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["rest_framework"],
        ROOT_URLCONF="benchmarks.frameworks.django_urls",
        SECRET_KEY="only for measuring",  # noqa: S106
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                # The frame of the page is the same text in both languages of templates.
                "DIRS": [str(Path(__file__).parent / name) for name in ("django_templates", "templates")],
            }
        ],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [f"{__name__}.TokenAuthentication"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
            "UNAUTHENTICATED_USER": None,
        },
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()


class TokenAuthentication:
    """The bearer token's claims as the request's user (the interface of DRF's BaseAuthentication)."""

    def authenticate(self, request: Any) -> tuple[dict[str, Any], None] | None:
        """Who asks; None without a token."""
        from rest_framework.exceptions import AuthenticationFailed

        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        try:
            return claims_of(header), None
        except Unauthorized:
            raise AuthenticationFailed from None

    def authenticate_header(self, _request: Any) -> str:
        """What a refused request is asked for."""
        return "Bearer"


def make_app(url: str) -> Any:
    """The application."""
    configure(url)
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler()
