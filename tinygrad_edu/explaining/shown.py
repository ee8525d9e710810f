"""How a notebook shows a page that was written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["Page"]

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12 only this class has subclasses

HEIGHT = 720  # pixels


class Page(_Path):
    """The path of a page, which a notebook shows as the page itself.

    The page becomes a part of the notebook. So no server is needed, and it is still
    there when the file is not. A path that is made from this one, such as its parent,
    is shown as a path.
    """

    _title = ""
    _content: str | None = None

    @classmethod
    def of(cls, path: Path, title: str, content: str) -> Page:
        """Return the path of a page with this title and content."""
        page = cls(path)
        page._title, page._content = title, content
        return page

    def _repr_html_(self) -> str | None:
        if self._content is None:
            return None
        title, content = (
            # Other quotes stay as they are: a page is full of them.
            text.replace("&", "&amp;").replace("'", "&#39;")
            for text in (self._title, self._content)
        )
        return (
            f"<iframe title='{title}' srcdoc='{content}' loading='lazy' "
            f"style='width: 100%; height: {HEIGHT}px; border: 0'></iframe>"
        )
