"""HTML that is put together in Python: everything is escaped, and what is not is named."""

from __future__ import annotations

import ast
from pathlib import Path

from markupsafe import Markup, escape

import mealshare
from mealshare.api.browse_forms import line, prose
from mealshare.core.markup import trusted
from mealshare.web.ui import Ui

HOSTILE = "<script>alert('1')</script>&\""
ROOT = Path(mealshare.__file__).parent
#: Who answers for what they declare to be markup.  Whoever is added here has looked at each character that gets in.
TRUSTING = {
    "api/browse_json.py", "features/comments/html.py", "features/feeds/factory.py", "features/feeds/html.py",
    "features/meals/form.py", "features/meals/html.py", "features/notifications/html.py", "web/kept.py",
    "web/ui.py",
}  # fmt: skip


def test_what_is_trusted_is_not_escaped_again() -> None:
    assert trusted("<b>&amp;</b>") == Markup("<b>&amp;</b>")
    assert escape(trusted("<b>")) == "<b>"


def test_those_who_trust_are_known() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "trusted"
    }
    assert found == TRUSTING


def test_descriptions_are_escaped_and_have_code() -> None:
    assert line(f"a `{HOSTILE}` b") == f"a <code>{escape(HOSTILE)}</code> b"
    assert line("one ` alone <i>") == "one ` alone &lt;i&gt;"
    words = prose(f"Who <b>?\n\n- `x` {HOSTILE}\n- two\n\n")
    assert words == f"<p>Who &lt;b&gt;?</p><ul><li><code>x</code> {escape(HOSTILE)}</li><li>two</li></ul>"


def test_an_icon_and_the_path_of_the_page_are_escaped() -> None:
    ui = Ui.__new__(Ui)
    ui.static_prefix, ui.path = "/static", f"/?q={HOSTILE}"
    assert ui.icon("heart").endswith('<use href="/static/icons.svg#i-heart"/></svg>')
    assert HOSTILE not in ui.icon(HOSTILE)
    assert ui.escaped_path == f"/?q={escape(HOSTILE)}"
