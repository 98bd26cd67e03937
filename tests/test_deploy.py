"""What stands in `deploy/` and what is so: ports, commands, settings, times.  The files are run elsewhere where that can be
done here: nginx (tests/functional/test_behind_nginx.py), other servers (test_servers.py), start.sh (test_start_script.py)."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyramid.paster import get_appsettings

from mealshare.cli import main as command_line
from mealshare.features.media.delivery import ACCEL_PREFIX
from mealshare.server import ServerSettings, read_settings
from mealshare.web.static import static_version
from mealshare.wsgi import server_section
from tests.deployed_nginx import CONFIGURATION
from tests.sites import free_port

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
NGINX = CONFIGURATION.read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PORTS = ("6543", "6544")
#: What a variable of the environment may be called, besides those of settings.
OURS = frozenset({"MEALSHARE_CONFIG", "MEALSHARE_UWSGI_LISTEN"})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The names of all settings, as the command lists them."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from mealshare.cli import main; main()", "settings", "--markdown"],
        capture_output=True, text=True, check=True, cwd=tmp_path_factory.mktemp("settings"),
    )  # fmt: skip
    return frozenset(re.findall(r"MEALSHARE_[A-Z0-9_]+", result.stdout))


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def unit(path: Path) -> list[tuple[str, str]]:
    """The lines of a unit; a name may come more than once."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "=" in line and not line.startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def extras_there_are() -> set[str]:
    """The extras of setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Dict)
            and ast.unparse(node.targets[0]) == "EXTRAS"
        ):
            return {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
    raise AssertionError("setup.py has no extras")


def exists(words: list[str]) -> bool:
    """Whether our commands know these words; options before the subcommand are left out."""
    program = Path(words[0]).name
    if program == "pserve":
        return len(words) == 2 and words[1].endswith("several.ini")
    if program == "python":
        return (DEPLOY / Path(words[1]).name).is_file()
    assert program == "mealshare", words
    rest = words[3:] if words[1] == "-c" else words[1:]
    group: Any = command_line
    for word in rest:
        if not hasattr(group, "commands"):
            break
        if word not in group.commands:
            return False
        group = group.commands[word]
    return True


# nginx


def upstream(name: str) -> list[str]:
    block = re.search(rf"^upstream {name} {{(.*?)^}}", NGINX, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"^\s*server 127\.0\.0\.1:(\d+)", block[1], re.MULTILINE)


def seconds(directive: str, within: str = NGINX) -> int:
    found = re.search(rf"^\s*{directive}\s+(\d+)s;", within, re.MULTILINE)
    assert found is not None, directive
    return int(found[1])


def test_nginx_agrees_with_the_server() -> None:
    server = ServerSettings()
    assert upstream("mealshare") == upstream("mealshare_streams") == list(PORTS)
    size = re.search(r"client_max_body_size (\d+)m;", NGINX)
    assert size is not None
    assert int(size[1]) * 2**20 == server.max_request_body_size
    kept = NGINX[NGINX.index("upstream mealshare {") :]
    assert seconds("keepalive_timeout", kept) < server.channel_timeout
    at_once = re.search(r"max_conns=(\d+)", NGINX)
    assert at_once is not None
    assert int(at_once[1]) > server.threads + server.backlog_requests
    assert f"location {ACCEL_PREFIX}/ {{" in NGINX
    static = re.search(r'location ~ "(.*)" {', NGINX)
    assert static is not None
    assert re.match(static[1], f"/static/{static_version()}/css/mealshare.css")


def test_nginx_believes_nothing_of_who_is_forwarded() -> None:
    """Added to instead of replaced, these would be what anybody says."""
    for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Host"):
        [value] = re.findall(rf"^\s*proxy_set_header {name}\s+(\S+);", NGINX, re.MULTILINE)
        assert value in ("$remote_addr", "$scheme", "$host"), name
    assert "proxy_add_x_forwarded_for" not in NGINX


# production.ini and several.ini


def test_several_ini_is_production_ini_with_its_own_log() -> None:
    several = get_appsettings(str(DEPLOY / "several.ini"), "main")
    production = get_appsettings(str(ROOT / "production.ini"), "main")
    different = {name for name in production if several.get(name) != production[name]}
    assert different - {"here", "__file__"} == {"jobs.engine"}
    assert several["storage.folder"] == str(ROOT / "var" / "media")
    parser = configparser.RawConfigParser()
    parser.read(DEPLOY / "several.ini")
    assert parser["handlers"]["keys"] == "console"
    assert server_section(DEPLOY / "several.ini") == server_section(ROOT / "production.ini")


# systemd and supervisor


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_what_there_is(path: Path, settings: frozenset[str]) -> None:
    lines = unit(path)
    given = dict(lines)
    for name, value in lines:
        if name in ("ExecStart", "ExecStartPost"):
            assert exists(shlex.split(value)), value
        if name == "Environment":
            names = {word.partition("=")[0] for word in value.split()}
            assert {word for word in names if word.startswith("MEALSHARE_")} <= settings
    hard = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "MemoryDenyWriteExecute": "yes",
            "CapabilityBoundingSet": "", "ProtectHome": "yes"}  # fmt: skip
    assert {name: given.get(name) for name in hard} == hard
    assert given["User"] == "mealshare"
    assert given["RestrictAddressFamilies"] == "AF_UNIX AF_INET AF_INET6"
    if given["Type"] == "exec":
        assert int(given["TimeoutStopSec"]) >= 30
    if path.name.startswith("mealshare-web"):
        assert int(given["TimeoutStopSec"]) > ServerSettings().drain_seconds


def test_the_target_starts_what_nginx_asks() -> None:
    wants = dict(unit(DEPLOY / "systemd" / "mealshare.target"))["Wants"].split()
    assert [name for name in wants if "web@" in name] == [f"mealshare-web@{port}.service" for port in PORTS]
    for name in wants:
        assert (DEPLOY / "systemd" / re.sub(r"@\d+", "@", name)).is_file()


def test_supervisor_agrees(settings: frozenset[str]) -> None:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(DEPLOY / "supervisor.conf")
    web = parser["program:web"]
    first = int(web["numprocs_start"])
    assert [str(first + number) for number in range(int(web["numprocs"]))] == list(PORTS)
    assert int(web["stopwaitsecs"]) > ServerSettings().drain_seconds
    for section in ("program:web", "program:mealshare-worker"):
        assert exists(shlex.split(parser[section]["command"]))
        assert set(re.findall(r"MEALSHARE_\w+", parser[section]["environment"])) <= settings
        assert parser[section]["stopsignal"] == "TERM"


# gunicorn and uWSGI


def test_servers_know_the_same_limits() -> None:
    server = ServerSettings()
    uwsgi = configparser.RawConfigParser(strict=False)
    uwsgi.read(DEPLOY / "uwsgi.ini")
    assert int(uwsgi["uwsgi"]["limit-post"]) == server.max_request_body_size
    assert int(uwsgi["uwsgi"]["buffer-size"]) == server.max_request_header_size
    assert int(uwsgi["uwsgi"]["threads"]) == server.threads
    assert (DEPLOY / uwsgi["uwsgi"]["wsgi-file"].removeprefix("%d")).is_file()


# The container


def test_the_image_is_made_of_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    build, _, last = text.partition("\nFROM ")[2].partition("\nFROM ")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        if line.startswith("--from"):
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source in kept, f"{source} does not reach the builder"
    [extras] = re.findall(r"whl\)\[([a-z0-9,]+)\]", build)
    assert set(extras.split(",")) <= extras_there_are()
    assert not re.search(r"gcc|build-essential|-dev\b|make\b", last), "no compiler in what runs"
    users = re.findall(r"^USER (\w+)$", last, re.MULTILINE)
    assert users == ["mealshare"]
    assert last.index("USER mealshare") < last.index("\nCMD ")
    assert re.findall(r"^EXPOSE (\d+)$", last, re.MULTILINE) == ["6543"]
    assert "MEALSHARE_SERVER__LISTEN=0.0.0.0:6543" in last
    [command] = re.findall(r'^CMD \["pserve", "(.*)"\]$', last, re.MULTILINE)
    assert command == "/srv/mealshare/deploy/several.ini"
    [check] = re.findall(r"^\s+CMD \[(.*)\]$", last, re.MULTILINE)
    assert check == '"python", "/srv/mealshare/deploy/ready.py", "127.0.0.1:6543"'


def test_compose_says_what_is_so(compose: Any, settings: frozenset[str]) -> None:
    services = compose["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("mealshare:")}
    assert set(ours) == {"migrate", "web-1", "web-2", "worker", "beat"}
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for name, service in ours.items():
        assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert {word for word in service["environment"] if word not in settings} <= OURS, name
        command = service.get("command", ["pserve", "/srv/mealshare/deploy/several.ini"])
        if command[0] == "sh":
            assert all(exists(shlex.split(part)) for part in command[2].split("&&"))
        else:
            assert exists(command)
    assert set(re.findall(r"(MEALSHARE_[A-Z_]+__[A-Z_]+)=", dockerfile)) <= settings
    # No two make the same ids: each has a range of its own.
    ranges = [
        range(int(part["MEALSHARE_IDS__FIRST_WORKER"]), int(part["MEALSHARE_IDS__LAST_WORKER"]) + 1)
        for part in (service["environment"] for service in ours.values())
        if "MEALSHARE_IDS__FIRST_WORKER" in part
    ]
    numbers = [number for part in ranges for number in part]
    assert len(ranges) == 4
    assert len(numbers) == len(set(numbers))
    assert set(numbers) <= set(range(64))
    for web in ("web-1", "web-2"):
        assert int(ours[web]["stop_grace_period"].removesuffix("s")) > ServerSettings().drain_seconds
        assert ours[web]["labels"]["traefik.http.services.mealshare.loadbalancer.server.port"] == "6543"
    used = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert {name for name in used if "/" not in name and "$" not in name} == set(compose["volumes"])
    for service in services.values():
        for other in service.get("depends_on", {}):
            assert other in services


def test_compose_makes_nginx_of_our_file(compose: Any) -> None:
    """What it replaces is there, and the address that is believed is nginx's."""
    nginx = compose["services"]["nginx"]
    script = nginx["command"][2]
    for pattern in re.findall(r'-e "s([/#])(.*?)\1', script):
        assert re.search(pattern[1].replace("$$DOMAIN", "meals.example.org"), NGINX), pattern
    believed = compose["services"]["web-1"]["environment"]["MEALSHARE_SERVER__TRUSTED_PROXY"]
    assert nginx["networks"]["inside"]["ipv4_address"] == believed
    assert compose["services"]["traefik"]["networks"]["inside"]["ipv4_address"] == believed


def test_every_variable_of_compose_stands_in_the_example(compose: Any) -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{([A-Z_]+)", text)) - {"MEALSHARE_TAG"}
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    given = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert given - {"COMPOSE_PROFILES"} == wanted
    profiles = {profile for service in compose["services"].values() for profile in service.get("profiles", ())}
    assert profiles == {"nginx", "traefik", "minio"}


def test_the_health_check_tells(server: Any) -> None:
    """The very command of the container, on a site that runs and on none."""
    check = [sys.executable, str(DEPLOY / "ready.py")]
    address = server.url.partition("//")[2].replace("localhost", "127.0.0.1")
    assert subprocess.run([*check, address], check=False).returncode == 0
    assert subprocess.run([*check, f"127.0.0.1:{free_port()}", "0.3"], check=False).returncode == 1


# start.sh


def test_shellcheck_finds_nothing() -> None:
    program = Path(sys.executable).parent / "shellcheck"
    said = subprocess.run([str(program), str(DEPLOY / "start.sh")], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")
    assert os.access(DEPLOY / "start.sh", os.X_OK)


def test_the_server_settings_of_production_are_read() -> None:
    """As gunicorn and uWSGI read them."""
    read = read_settings(server_section(ROOT / "production.ini"))
    assert (read.trusted_proxy, read.listen) == ("127.0.0.1", "127.0.0.1:6543")
