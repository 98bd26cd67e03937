"""The application that gunicorn and uvicorn load: `BENCH_APP` names the framework, `BENCH_URL` its database."""

from __future__ import annotations

import importlib
import os

app = importlib.import_module(f"benchmarks.frameworks.{os.environ['BENCH_APP']}_app").make_app(os.environ["BENCH_URL"])
