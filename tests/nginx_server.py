"""nginx before a site, as docs/hosting.md says for `media.delivery = accel`."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from tests.sites import free_port

NGINX_LEFT_OUT = "nginx: install it (Debian: apt-get install nginx-light) to include pictures that it sends"

#: What nginx keeps of the application's answer by itself is Content-Type, Content-Disposition and Cache-Control.
HEADERS = """
        set $$picture_tag $$upstream_http_etag;
        set $$picture_policy $$upstream_http_content_security_policy;
        set $$picture_origin $$upstream_http_cross_origin_resource_policy;
        set $$picture_sniffing $$upstream_http_x_content_type_options;
        set $$picture_vary $$upstream_http_vary;
        add_header ETag $$picture_tag;
        add_header Content-Security-Policy $$picture_policy;
        add_header Cross-Origin-Resource-Policy $$picture_origin;
        add_header X-Content-Type-Options $$picture_sniffing;
        add_header Vary $$picture_vary;
"""
FROM_DISK = """
        alias $media/;
        etag off;
        if_modified_since off;
        add_header Last-Modified "";
"""
FROM_S3 = """
        proxy_pass $s3/;
        proxy_set_header Host $s3_host;
        proxy_set_header Authorization "";
        proxy_set_header Cookie "";
        proxy_set_header If-None-Match "";
        proxy_set_header If-Modified-Since "";
        proxy_hide_header ETag;
        proxy_hide_header Last-Modified;
        proxy_hide_header Expires;
        proxy_hide_header Cache-Control;
        proxy_hide_header Content-Disposition;
        proxy_hide_header Content-Security-Policy;
        proxy_hide_header X-Content-Type-Options;
        proxy_hide_header Vary;
        proxy_hide_header x-amz-request-id;
        proxy_hide_header x-amz-id-2;
        proxy_intercept_errors on;
"""
CONFIG = """
daemon off;
$user
worker_processes 1;
pid $folder/nginx.pid;
error_log $folder/nginx.log warn;
events {}
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    client_max_body_size 50m;
    server {
        listen 127.0.0.1:$port;
        location / { proxy_pass $site; proxy_set_header Host $$host; }
        location /_media/ {
        internal;
        $how
        }
    }
}
"""


@contextmanager
def own_nginx(folder: Path, site: str, *, media: Path | None = None, s3: str = "") -> Iterator[str]:
    """The address of an nginx before ``site`` that sends pictures from the folder ``media`` or from the server ``s3``."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    how = HEADERS + (FROM_DISK if media else FROM_S3)
    values = {
        "folder": folder, "port": port, "site": site, "media": media, "s3": s3, "s3_host": s3.partition("//")[2],
        # The folders of tests are for their owner only.
        "user": "user root;" if os.getuid() == 0 else "",
    }  # fmt: skip
    text = Template(Template(CONFIG).safe_substitute(how=how)).safe_substitute(values)
    (folder / "nginx.conf").write_text(text)
    command = [shutil.which("nginx") or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, folder)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def _wait(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, (folder / "start.log").read_text()
        assert time.monotonic() < deadline, "nginx did not answer in time"
        try:
            with urllib.request.urlopen(f"{url}/health/live", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
