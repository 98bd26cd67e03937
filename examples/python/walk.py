"""The story of a meal, told with the client: ``python walk.py SITE USERNAME PHOTO``; the password is asked for.

Set MEALSHARE_PASSWORD to be asked nothing.
"""

from __future__ import annotations

import getpass
import itertools
import os
import sys
from pathlib import Path
from typing import Any

from mealshare_client import Meal, MealShare, ProblemError


def walk(site: str, username: str, password: str, photo_file: Path) -> None:
    """Post, read, change and delete a meal, and say what happens."""
    with MealShare(site) as api:
        api.login(username, password)
        print("Signed in as", username)

        # A meal may name a picture at once. Here it is waited for: a picture that becomes ready is a change of its meal,
        # and this story counts changes.
        photo = api.upload(photo_file, "A bowl of noodles.", wait=60)
        meal = api.post_meal(
            {"food": "Dan dan noodles", "note": "Hot enough. #noodles", "media": [{"id": photo["id"]}]}
        )
        print("Posted", meal["url"], "for", meal["meal_type"])

        # As many pages as it takes; here they are small, to see that there are several.
        for one in itertools.islice(api.feed(limit=2), 5):
            print("-", one["user"]["username"], "ate", one["food"])

        first, second = api.meal(meal["id"]), api.meal(meal["id"])
        print("Not sent twice:", first is second)

        change_while_somebody_else_does(site, api, meal)

        try:
            api.post_meal({"food": "x" * 141})
        except ProblemError as problem:
            print("Refused:", problem.code, [error["pointer"] for error in problem.errors])

        api.delete_meal(meal["id"])
        try:
            api.meal(meal["id"])
        except ProblemError as problem:
            print("Deleted:", problem.status)
        api.logout()


def change_while_somebody_else_does(site: str, api: MealShare, meal: Meal) -> None:
    """Add to the note of a meal that changes in between; both changes are there afterwards."""
    asked: list[Meal] = []

    def add(current: Meal) -> dict[str, Any]:
        asked.append(current)
        if len(asked) == 1:
            # The same person on another device, who is quicker.
            api.edit_meal(meal["id"], lambda _meal: {"food": "Dan dan noodles, twice"})
        return {"note": f"{current['note']} The second bowl was even better."}

    changed = api.edit_meal(meal["id"], add)
    print("Changed after", len(asked), "attempts:", changed["food"], "/", changed["note"])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    walk(sys.argv[1], sys.argv[2], os.environ.get("MEALSHARE_PASSWORD") or getpass.getpass(), Path(sys.argv[3]))
