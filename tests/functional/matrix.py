"""The access matrix: what each address is about, who sees what, and a site on which all of it can be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pyramid.router import Router
from sqlalchemy import delete, or_, select, text

from mealshare.features.accounts.models import Account
from mealshare.features.meals.models import Mention, Place, Post, PostRevision, PostTag, Tag
from mealshare.features.media.models import Media
from mealshare.features.notifications.models import Notification
from mealshare.features.reactions.models import Like, Want
from mealshare.features.social.service import BlockService, FollowService
from mealshare.features.timelines.models import TimelineEntry
from tests.functional.hostile_requests import (
    SAFE,
    Answer,
    Route,
    Somebody,
    browser_of,
    multipart,
    route_table,
    send,
    send_json,
    urlencoded,
    visitor,
)

#: What each address is about.  A new one has to be put here, where its column of expectations follows from the kind.
KINDS = {
    # One meal: hidden or not.
    "meal": "meal", "meal.uri": "meal", "meal.edit": "meal", "meal.delete": "meal", "meal.like": "meal", "api.meal": "meal", "api.meal.like": "meal",
    "meal.want": "meal", "api.meal.want": "meal", "meal.ate_too": "meal", "api.meal.ate_too": "meal",
    "meal.comments": "meal", "meal.comments.close": "meal", "api.meal.comments": "meal",
    # A comment on it: seen by whoever sees the meal.
    "comment.like": "comment", "api.comment": "comment", "api.comment.like": "comment",
    # Its picture, and the picture as its owner's thing.
    "media.file": "picture", "api.media.item": "own picture",
    # A tag and a place that only this meal has.
    "tag": "tag", "api.feed.tag": "tag", "place": "place", "api.feed.place": "place",
    # A person: gone behind a block, in both directions.
    "person": "person", "person.uri": "person", "api.user": "person", "api.user.meals": "person", "person.followers": "person",
    "person.following": "person", "api.user.followers": "person", "api.user.following": "person", "person.follow": "person",
    "person.mute": "person", "person.remove_follower": "person", "api.user.follow": "person", "api.user.mute": "person",
    "diary": "person", "diary.own": "own list", "diary.this_week": "person", "diary.week": "person", "diary.year": "person", "diary.month": "person",
    "diary.day": "person", "api.user.diary": "person", "api.user.calendar": "person",
    # A person to whom only they themselves get through: for everybody else there is no such address.
    "diary.csv": "own person", "api.user.follower": "own person",
    # Blocking reaches people behind one's own block.
    "person.block": "block", "api.user.block": "block",
    # The same documents for everybody, with and without a session: what a visitor may see.
    "feed.atom": "document", "feed.json": "document", "person.feed.atom": "document", "person.feed.json": "document", "tag.feed.atom": "document", "tag.feed.json": "document",
    "sitemap": "document", "sitemap.part": "document", "oembed": "document",
    # Lists and counts in which the meal could show.
    "front": "list", "api.meals": "list", "api.feed.public": "list", "api.feed.stream": "list", "api.tags": "list", "explore": "list", "random": "list",
    "api.meals.random": "list", "search": "list", "api.search": "list", "api.places": "list",
    # Lists for those who are signed in, in which it could show.
    "home": "own list", "api.feed.home": "own list", "want": "own list", "api.want": "own list", "notifications": "own list",
    "api.notifications": "own list", "follow_requests": "own list", "api.follow_requests": "own list", "api.blocks": "own list",
    "api.mutes": "own list",
    # One's own things: nothing for a visitor.
    "settings": "personal", "settings.profile": "personal", "settings.password": "personal", "settings.sessions": "personal",
    "settings.sessions.end": "personal", "settings.sessions.end_others": "personal", "avatar.form": "personal",
    "settings.privacy": "personal", "settings.privacy.meals": "personal", "settings.blocks": "personal", "settings.mutes": "personal",
    "settings.food": "personal", "settings.notifications": "personal", "notifications.read": "personal",
    "follow_request": "personal", "api.follow_request": "personal",
    "settings.tokens": "personal", "settings.tokens.revoke": "personal", "settings.tokens.revoke_all": "personal",
    "api.tokens": "personal", "api.tokens.item": "personal", "api.devices": "personal", "api.device": "personal", "api.user.password": "personal",
    "api.profile": "personal", "api.logout": "personal", "api.media": "personal", "api.user.avatar": "personal",
    "api.meals.today": "personal", "api.meals.suggestions": "personal", "api.meals.visibility": "personal", "api.preferences": "personal",
    "api.notifications.read": "personal", "api.notifications.settings": "personal",
    # Everybody's, and about nobody.
    "health.live": "open", "health.ready": "open", "about": "open", "problem": "open", "robots": "open", "manifest": "open",
    "api.index": "open", "api.instance": "open", "api.batch": "open", "api.openapi": "open", "docs": "open", "developers": "open", "register": "open", "login": "open", "logout": "open",
    "language": "open", "password.forgot": "open", "password.reset": "open", "api.users": "open", "api.login": "open",
    "api.token.refresh": "open", "api.jwks": "open", "avatar.file": "open", "meal.new": "open", "static": "open", "share": "open",
}  # fmt: skip
#: ``blocked`` has been blocked by the author, ``blocker`` has blocked the author.
VIEWERS = ("anonymous", "stranger", "follower", "blocked", "blocker", "author", "moderator", "admin")
BEHIND_A_BLOCK = {"blocked", "blocker"}
EVERYBODY = set(VIEWERS) - BEHIND_A_BLOCK
#: Who sees a meal of this visibility.
SEEN_BY: dict[str, set[str]] = {
    "public": EVERYBODY, "unlisted": EVERYBODY, "followers": {"author", "follower"}, "only_me": {"author"}, "deleted": set(),
}  # fmt: skip
HIDDEN = [(visibility, viewer) for visibility, seen in SEEN_BY.items() for viewer in VIEWERS if viewer not in seen]
SEEN = [(visibility, viewer) for visibility, seen in SEEN_BY.items() for viewer in VIEWERS if viewer in seen]
#: The words are found by nobody else's meal; the note names people who must not be told of what they may not see.
MEAL = {
    "food": "unmistakable dumplings", "note": "a note for @stranger @follower @blocked @blocker", "tags": ["onlyhere"],
    "place": {"name": "Secret Kitchen"},
}  # fmt: skip
FORM = "application/x-www-form-urlencoded"
#: Bodies that would be good, so that nothing but the thing decides.
JSON_BODIES: dict[tuple[str, str], Any] = {
    ("api.meal", "PUT"): {"food": "changed by a stranger"},
    ("api.meal", "PATCH"): {"food": "changed by a stranger"},
    ("api.media.item", "PATCH"): {"description": "changed by a stranger"},
    ("api.meal.ate_too", "POST"): {},
    ("api.meal.comments", "POST"): {"note": "said by a stranger"},
    ("api.comment", "PATCH"): {"note": "changed by a stranger"},
    ("api.user.meals", "POST"): {"food": "posted by a stranger"},
}


def kind_of(route: Route) -> str:
    """What the matrix says about the route; KeyError if it does not know it."""
    return KINDS["static" if route.is_static else route.name]


def about(table: dict[str, Route], *kinds: str) -> list[Route]:
    """The routes of these kinds."""
    return [route for route in table.values() if kind_of(route) in kinds]


@dataclass
class World:
    """A site with a meal of one visibility, and the people who look at it."""

    app: Router
    registry: Any
    people: dict[str, SimpleNamespace]
    browsers: dict[str, Somebody]
    programs: dict[str, Somebody]
    table: dict[str, Route]
    run_jobs: Callable[[Any], int]
    picture: bytes

    def post(self, visibility: str) -> SimpleNamespace:
        """A new meal with a picture, a tag and a place of its own, and with what the stranger did about it.

        It is public first, so that everything about it has come about that can.
        """
        author, stranger = self.programs["author"], self.programs["stranger"]
        body, kind = multipart([("file", "a.jpg", self.picture)])
        media_id = send(self.app, "POST", "/api/media", author, body=body, content_type=kind).json["id"]
        meal = send_json(self.app, "POST", "/api/meals", author, MEAL | {"media": [{"id": media_id}]}).json
        path = f"/api/meals/{meal['id']}"
        self.run_jobs(self.registry)
        for action in ("like", "want"):
            assert send(self.app, "PUT", f"{path}/{action}", stranger).status == 204
        comment = send_json(self.app, "POST", f"{path}/comments", stranger, {"note": "unmistakable words"})
        assert comment.status == 201, comment.text
        if visibility == "deleted":
            assert send(self.app, "DELETE", path, author).status == 204
        elif visibility != "public":
            change = send_json(self.app, "PATCH", path, author, {"visibility": visibility})
            assert change.json["visibility"] == visibility
        self.run_jobs(self.registry)
        with self.registry["engine"].connect() as connection:
            key = connection.scalar(select(Media.storage_key).where(Media.id == int(media_id)))
        return SimpleNamespace(
            id=meal["id"], media_id=media_id, comment_id=comment.json["id"], key=key or "0" * 32, username="author"
        )

    def path(self, route: Route, thing: SimpleNamespace) -> str:
        """The address of the thing under this route."""
        ids = {"own picture": thing.media_id, "comment": thing.comment_id}
        return self.fill(route, id=ids.get(kind_of(route), thing.id), key=thing.key, username=thing.username)

    def fill(self, route: Route, **values: Any) -> str:
        """An address of the route, with these parts."""
        usual = {
            "edge": "400", "tag": "onlyhere", "place": "Secret Kitchen", "name": "Secret Kitchen", "code": "csrf", "key": "0" * 32,
            "username": "author", "follower": "follower", "year": "2026", "month": "11", "day": "21", "week": "2026-W47",
            "kind": "meals", "number": "1",
        }  # fmt: skip
        return route.path(**usual | values)

    def faces(self, viewer: str) -> list[Somebody]:
        """The ways in which the viewer can come: with a browser and with a program."""
        return [self.browsers[viewer], self.programs[viewer]]

    def ask(self, route: Route, method: str, path: str, who: Somebody) -> Answer:
        """A request with a body that would be good."""
        if method in SAFE:
            return send(self.app, method, path, who)
        if (route.name, method) in JSON_BODIES:
            return send_json(self.app, method, path, who, JSON_BODIES[route.name, method])
        fields = [("food", "changed by a stranger"), ("note", "said by a stranger"), ("csrf_token", who.csrf)]
        form = urlencoded(fields) if not route.is_api else b""
        return send(self.app, method, path, who, body=form, content_type=FORM if form else "")

    def erase(self, thing: SimpleNamespace) -> None:
        """Take away every trace of the thing, as if it had never been."""
        id = int(thing.id)
        with self.registry["engine"].begin() as connection:
            posts = Post.__table__
            comments = select(posts.c.id).where(posts.c.root_id == id)
            for model in (Like, Want, PostTag, PostRevision, Mention, Notification, TimelineEntry, Media):
                connection.execute(delete(model).where(or_(model.post_id == id, model.post_id.in_(comments))))
            connection.execute(delete(posts).where(posts.c.root_id == id))
            connection.execute(delete(posts).where(posts.c.id == id))
            connection.execute(delete(Tag))
            connection.execute(delete(Place))
            connection.execute(text("DELETE FROM meal_words"))
        self.registry["fragments"].clear()

    def rows(self) -> list[Any]:
        """All that is stored about posts, pictures and what people did about them."""
        models = (Post, Media, Like, Want, Notification)
        with self.registry["engine"].connect() as connection:
            found = [connection.execute(select(model.__table__).order_by(model.id)).all() for model in models]
            counts = select(Account.id, Account.meals_count, Account.followers_count).order_by(Account.id)
            return [*found, connection.execute(counts).all()]


def make_world(
    wsgi_app: Router, registry: Any, make_user: Any, token: Any, app: Any, run_jobs: Any, picture: Any
) -> World:
    """People of each kind, signed in both ways."""
    roles = {"moderator": "moderator", "admin": "admin"}
    people = {name: make_user(name, role=roles.get(name, "user")) for name in VIEWERS if name != "anonymous"}
    author = people["author"].account_id
    with registry["open_work"]() as work:
        FollowService(work).follow(people["follower"].account_id, author)
        BlockService(work).block(author, people["blocked"].account_id)
        BlockService(work).block(people["blocker"].account_id, author)
    run_jobs(registry)
    browsers = {name: browser_of(registry, person.account_id) for name, person in people.items()}
    # The cookie keeps the token in the forms of error pages from being a new one each time.
    cookie = visitor().cookies
    programs = {name: Somebody(cookie, "", token(app, person)["Authorization"]) for name, person in people.items()}
    return World(
        wsgi_app, registry, people, {"anonymous": visitor(), **browsers}, {"anonymous": visitor(), **programs},
        route_table(registry), run_jobs, picture(size=(40, 30)),
    )  # fmt: skip
