#!/usr/bin/env bash
# The story of a meal with curl: log in, upload, post, page, change, err, refresh, delete.
#
#   SITE=http://localhost:6543 NAME=your_name PASSWORD='your password' PHOTO=photo.jpg ./walk-through.sh
#
# It needs an account on the site, curl, and python3 to take JSON apart (jq would do as well). Stops at what goes wrong.
set -euo pipefail

: "${SITE:?the address of the site}" "${NAME:?your username}" "${PASSWORD:?your password}" "${PHOTO:?a picture}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
JSON='Content-Type: application/json'

# member NAME: that member of the JSON object that comes in.
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
# object NAME VALUE ...: a JSON object of these; values with quotes in them are no danger.
object() { python3 -c 'import json, sys; a = sys.argv[1:]; print(json.dumps(dict(zip(a[::2], a[1::2]))))' "$@"; }
# header NAME: the value of that header in the headers that come in.
header() { tr -d '\r' | sed -n "s/^$1: *//Ip"; }
# with_token ...: curl as whoever is signed in. The token is read from a file: what stands in a command line, others see.
with_token() { curl -sS --fail-with-body -H @"$folder/authorization" "$@"; }
signed_in() { printf 'Authorization: Bearer %s' "$(member access_token < "$folder/tokens.json")" > "$folder/authorization"; }

echo "# Log in"
object username "$NAME" password "$PASSWORD" |
    curl -fsS "$SITE/api/login" -H "$JSON" -d @- -o "$folder/tokens.json"
signed_in
echo "Signed in as $NAME"

echo "# Upload a picture, and post a meal with it"
photo=$(with_token "$SITE/api/media" -F "file=@$PHOTO" -F 'description=A bowl of noodles.' | member id)
# A meal may name a picture at once. Here it is waited for: a picture that becomes ready is a change of its meal.
until [ "$(with_token "$SITE/api/media/$photo" | member state)" != processing ]; do sleep 0.3; done
# The key lets curl try again without posting twice.
key=$(python3 -c 'import uuid; print(uuid.uuid4())')
meal=$(with_token --retry 3 --retry-connrefused "$SITE/api/meals" -H "$JSON" -H "Idempotency-Key: $key" \
    -d '{"food": "Dan dan noodles", "note": "Hot enough. #noodles", "media": [{"id": "'"$photo"'"}]}' | member id)
again=$(with_token "$SITE/api/meals" -H "$JSON" -H "Idempotency-Key: $key" \
    -d '{"food": "Dan dan noodles", "note": "Hot enough. #noodles", "media": [{"id": "'"$photo"'"}]}' | member id)
echo "Posted once: $([ "$meal" = "$again" ] && echo yes || echo no)"

echo "# Read a list, page after page"
next="$SITE/api/feed/public?limit=2&fields=id,food"
pages=0
while [ -n "$next" ] && [ "$pages" -lt 3 ]; do
    curl -fsS -D "$folder/headers" -o "$folder/page.json" "$next"
    next=$(header link < "$folder/headers" | sed -n 's/.*<\([^>]*\)>; rel="next".*/\1/p')
    pages=$((pages + 1))
done
echo "Read $pages pages"

echo "# Read it again only if it has changed"
with_token -D "$folder/headers" -o "$folder/meal.json" "$SITE/api/meals/$meal"
etag=$(header etag < "$folder/headers")
with_token -o /dev/null -w '%{http_code}\n' "$SITE/api/meals/$meal" -H "If-None-Match: $etag"

echo "# Change it only if nobody else has"
patch() { curl -sS -o "$folder/answer.json" -w '%{http_code}\n' -H @"$folder/authorization" -X PATCH "$SITE/api/meals/$meal" \
    -H 'Content-Type: application/merge-patch+json' "$@"; }
patch -H "If-Match: $etag" -d '{"note": "With peanuts. #noodles"}'
patch -H "If-Match: $etag" -d '{"note": "Without peanuts. #noodles"}'
member detail < "$folder/answer.json"

echo "# What an error looks like"
curl -sS -o "$folder/answer.json" -w '%{http_code}\n' -H @"$folder/authorization" "$SITE/api/meals" -H "$JSON" -d '{"colour": "red"}'
member type < "$folder/answer.json"

echo "# New tokens for old ones; the old refresh token is then used up"
object refresh_token "$(member refresh_token < "$folder/tokens.json")" |
    curl -fsS "$SITE/api/token/refresh" -H "$JSON" -d @- -o "$folder/new.json"
mv "$folder/new.json" "$folder/tokens.json"
signed_in

echo "# Delete it, and log out"
with_token -X DELETE "$SITE/api/meals/$meal" -w '%{http_code}\n'
with_token -X POST "$SITE/api/logout" -w '%{http_code}\n'
