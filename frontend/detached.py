"""A page cut loose from the site: what needs a server goes, what is left points to files beside it.

It works on finished HTML and knows no template, so that a page which is changed needs nothing here: a form, a script, a
link that leads nowhere without the site are found by what they are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection
from html import escape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

# These work by themselves: times in the reader's zone, tables that can be sorted.
SCRIPTS = ("times", "tables")
VOID = frozenset({"link", "meta", "source", "img", "input", "br", "hr"})

Attributes = list[tuple[str, str | None]]
FileOf = Callable[[str], str | None]


def detached(html: str, *, path: str, pages: Collection[str], file_of: FileOf, note: str, instead: str) -> str:
    """The page at ``path`` as it stands alone.

    ``pages`` are the paths that are copied too; ``file_of`` answers the path of the file that holds what an address of
    a style, a script or a picture gives, or ``None``. ``note`` goes to the top; ``instead`` stands where something can
    be sent.
    """
    parser = _Detacher(path, pages, file_of, note, instead)
    parser.feed(html)
    parser.close()
    return "".join(parser.written)


def relative(target: str, page: str) -> str:
    """The way from the page at ``page`` to ``target``, both absolute paths; a page ends in a slash."""
    way = posixpath.relpath(target, page)
    return f"{way}/" if target.endswith("/") else way


class _Detacher(HTMLParser):
    def __init__(self, path: str, pages: Collection[str], file_of: FileOf, note: str, instead: str) -> None:
        super().__init__(convert_charrefs=False)
        self.written: list[str] = []
        self._path, self._pages, self._file_of = path, pages, file_of
        self._note, self._instead = note, instead
        # The element that is being left out, and how many of its kind are open within.
        self._left_out = ""
        self._depth = 0
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if self._left_out:
            self._depth += tag == self._left_out
            return
        given = dict(attrs)
        if self._goes(tag, given):
            if tag == "form" and given.get("method") == "post":
                self.written.append(self._instead)
            if tag not in VOID:
                self._left_out, self._depth = tag, 1
            return
        if tag == "a":
            self._link(attrs)
            return
        if tag == "noscript":
            return
        kept = self._changed(tag, attrs)
        if kept is None:
            return
        if kept == attrs:
            self.written.append(self.get_starttag_text() or "")
        else:
            self._write_tag(tag, kept)
        if tag == "main":
            self.written.append(self._note)

    def handle_startendtag(self, _tag: str, _attrs: Attributes) -> None:
        if not self._left_out:
            self.written.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            self._depth -= tag == self._left_out
            if self._depth == 0:
                self._left_out = ""
        elif tag == "a":
            self.written.append(self._links.pop() if self._links else "")
        elif tag != "noscript":
            self.written.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._write(data)

    def handle_entityref(self, name: str) -> None:
        self._write(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._write(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self._write(f"<!{decl}>")

    def _write(self, text: str) -> None:
        if not self._left_out:
            self.written.append(text)

    def _write_tag(self, tag: str, attrs: Attributes) -> None:
        said = "".join(f" {name}" if value is None else f' {name}="{escape(value)}"' for name, value in attrs)
        self.written.append(f"<{tag}{said}>")

    def _goes(self, tag: str, given: dict[str, str | None]) -> bool:
        classes = (given.get("class") or "").split()
        if tag == "form" or "script-only" in classes or "time-links" in classes or "data-connection" in given:
            return True
        if tag == "script":
            name = posixpath.basename(urlsplit(given.get("src") or "").path).split(".")[0]
            return given.get("type") != "application/json" and name not in SCRIPTS
        if tag == "link":
            return given.get("rel") not in {"stylesheet", "icon"}
        # The addresses of a link preview are those of the site.
        return tag == "meta" and (given.get("property") or given.get("name") or "").startswith(("og:", "twitter:"))

    def _changed(self, tag: str, attrs: Attributes) -> Attributes | None:
        kept: Attributes = []
        for name, value in attrs:
            if name == "data-refresh":
                continue
            if value and ((name in {"src", "srcset"}) or (tag == "link" and name == "href")):
                # A view of a drawing, named after it, is part of the same file.
                address, mark, view = value.partition("#")
                file = self._file_of(urljoin(self._path, address))
                if file is None:
                    return None
                kept.append((name, relative(file, self._path) + mark + view))
            elif name == "class" and value and "no-script" in value.split():
                kept.append((name, " ".join(word for word in value.split() if word != "no-script")))
            else:
                kept.append((name, value))
        return kept

    def _link(self, attrs: Attributes) -> None:
        given = dict(attrs)
        target = urlsplit(urljoin(self._path, given.get("href") or ""))
        outside = bool(target.netloc) or target.scheme not in {"", "http", "https"}
        here = target.path == self._path and not target.query
        if outside or here or (target.path in self._pages and not target.query):
            if not outside:
                fragment = f"#{target.fragment}" if target.fragment else ""
                way = fragment if here and fragment else relative(target.path, self._path) + fragment
                attrs = [(name, way if name == "href" else value) for name, value in attrs]
            self._write_tag("a", attrs)
            self._links.append("</a>")
        else:
            # What was not copied is still worth reading.
            self._write_tag("span", [(name, value) for name, value in attrs if name in {"class", "id", "lang"}])
            self._links.append("</span>")
