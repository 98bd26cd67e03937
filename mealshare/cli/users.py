"""`mealshare user`: accounts that an administrator makes, and who may do what."""

from __future__ import annotations

import sys

import click

from mealshare.cli.errors import explained
from mealshare.cli.site import Site, pass_site
from mealshare.core.errors import DomainError, NotFound
from mealshare.core.security.identity import Role
from mealshare.core.security.tokens import new_token
from mealshare.features.accounts.service import create_user, set_role

#: A guest is somebody without an account.
ROLES = tuple(role.value for role in Role if role is not Role.GUEST)
_GENERATED_BYTES = 16


@click.group()
def user() -> None:
    """Make accounts and give roles."""


@user.command()
@click.argument("username")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default=Role.USER.value, show_default=True)
@click.option("--locale", help="The language in which the site speaks to the person: en or zh_CN.")
@click.option("--time-zone", default="UTC", show_default=True, help="An IANA time zone, such as Europe/Paris.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; otherwise one is made up.")
@pass_site
def create(
    site: Site, username: str, email: str, role: str, locale: str | None, time_zone: str, password_stdin: bool
) -> None:
    """Make an account for USERNAME with the address EMAIL."""
    registry = site.registry
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else new_token(_GENERATED_BYTES)
    try:
        with registry["open_work"]() as work:
            person = create_user(
                work, registry["base_url"], username=username, email=email, password=password, role=Role(role),
                locale=locale, time_zone=time_zone,
            )  # fmt: skip
    except DomainError as refused:
        raise explained(refused, registry["messages"]) from refused
    click.echo(f"Made {person.username} ({role}).")
    if not password_stdin:
        click.echo(f"Password: {password}")


@user.command()
@click.argument("username")
@click.argument("role", type=click.Choice(ROLES))
@pass_site
def promote(site: Site, username: str, role: str) -> None:
    """Give USERNAME the role ROLE; whatever is signed in as them has to sign in again."""
    registry = site.registry
    try:
        with registry["open_work"]() as work:
            set_role(work, registry["base_url"], username, Role(role))
    except NotFound:
        raise click.ClickException(f"there is nobody called {username}") from None
    click.echo(f"{username} is {role} now.")
