"""Finds what a crawler must find: every file of a static site that links reach.

usage: reach.py ROOT ORIGIN START

ROOT is the directory a plain nginx serves at ORIGIN (http://host:port), START
the path to begin at. Prints one line of JSON a URL: what the server will
answer (200, 301, 400, 403, 404) and the file behind it. Nothing is fetched: the
answers follow from the tree. It is a second opinion, so it shares nothing with
the crawler, neither language nor parser nor URL library.
"""
import functools
import json
import os
import re
import sys
from html.parser import HTMLParser
from urllib.parse import quote, unquote_to_bytes, urlsplit

# Where links stand. A page's requisites count as well as what it links to.
ATTRIBUTES = {
    ("a", "href"), ("area", "href"), ("link", "href"), ("img", "src"), ("script", "src"),
    ("iframe", "src"), ("frame", "src"), ("embed", "src"), ("object", "data"),
    ("input", "src"), ("source", "src"), ("video", "src"), ("video", "poster"),
    ("audio", "src"), ("track", "src"), ("body", "background"), ("table", "background"),
    ("td", "background"), ("th", "background"),
}
CSS_URL = re.compile(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)|@import\s+["']([^"']+)["']""", re.I)
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
REFRESH = re.compile(r"""^\s*[\d.]*\s*[;,]?\s*url\s*=\s*["']?([^"'>]*)""", re.I)


def css_links(text):
    for m in CSS_URL.finditer(CSS_COMMENT.sub(" ", text)):
        yield next(g for g in m.groups() if g is not None)


class Links(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.links, self.base, self.in_style = [], None, False

    def handle_starttag(self, tag, attrs):
        values = {}
        for name, value in attrs:
            values.setdefault(name, value)
        self.in_style = tag == "style"
        if tag == "base" and self.base is None:
            self.base = values.get("href")
        if tag == "meta" and (values.get("http-equiv") or "").lower() == "refresh":
            if m := REFRESH.match(values.get("content") or ""):
                self.links.append(m.group(1))
        for name, value in values.items():
            if value is None:
                continue
            if (tag, name) in ATTRIBUTES:
                self.links.append(value)
            elif name == "srcset":
                self.links += [c.split()[0] for c in value.split(",") if c.split()]
            elif name == "style":
                self.links += css_links(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        self.in_style = False

    def handle_data(self, data):
        if self.in_style:
            self.links += css_links(data)


def links_of(path, body):
    if path.endswith((".html", ".htm")):
        parser = Links()
        parser.feed(body.decode("utf-8", "replace"))
        parser.close()
        return parser.base, parser.links
    if path.endswith(".css"):
        return None, list(css_links(body.decode("utf-8", "replace")))
    return None, []


def undotted(path):
    """A path without dot segments; unlike urljoin's, empty segments stay."""
    out = []
    segments = path.split("/")[1:]
    for i, segment in enumerate(segments):
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            out = out[:-1]
        elif dots != ".":
            out.append(segment)
        if dots in (".", "..") and i == len(segments) - 1:
            out.append("")
    return "/" + "/".join(out)


@functools.lru_cache(maxsize=1 << 18)
def resolve(base, link):
    """The URL a link means on a page, as browsers would ask for it, or None.

    urllib's urljoin will not do: it drops empty segments (a//b).
    """
    link = re.sub(r"[\t\r\n]", "", link).strip(" \x00\x0c").partition("#")[0]
    scheme, host, path, query = urlsplit(base)[:4]
    if m := re.match(r"([a-z][a-z0-9+.-]*):", link, re.I):
        if m.group(1).lower() not in ("http", "https"):
            return None
        scheme, link = m.group(1).lower(), link[m.end():]
    link, mark, new_query = link.partition("?")
    link = link.replace("\\", "/")
    if link.startswith("//"):
        host, _, rest = link[2:].partition("/")
        link = "/" + rest
    if link:
        path = link if link.startswith("/") else path.rpartition("/")[0] + "/" + link
        query = ""
    query = new_query if mark else query
    path = quote(undotted(path), safe="/%!$&'()*+,;=:@-._~|[]\\")
    query = "?" + quote(query, safe="/%!$&()*+,;=:@-._~?|[]\\^`{}") if query else ""
    return f"{scheme}://{host.lower()}{path}{query}"


def answer(root, url):
    """What nginx says for a URL: status, file, and where a redirect goes."""
    if re.search(r"%(?![0-9a-fA-F]{2})", urlsplit(url).path):
        return 400, None, None
    path = unquote_to_bytes(urlsplit(url).path).decode("utf-8", "surrogateescape")
    file = os.path.normpath(root + path)
    if os.path.isdir(file):
        if not path.endswith("/"):
            return 301, None, url + "/"
        file = os.path.join(file, "index.html")
        return (200, file, None) if os.path.isfile(file) else (403, None, None)
    if path.endswith("/") or not os.path.isfile(file):
        return 404, None, None
    return 200, file, None


def main(root, origin, start):
    first = resolve(origin + "/", start)
    seen, queue = {first}, [first]

    def meet(base, link):
        url = resolve(base, link)
        if url and url.startswith(origin + "/") and url not in seen:
            seen.add(url)
            queue.append(url)

    for url in queue:
        status, file, location = answer(root, url)
        print(json.dumps({"url": url, "status": status, "file": file or ""}))
        if location:
            meet(url, location)
        if file:
            with open(file, "rb") as f:
                base, links = links_of(file, f.read())
            for link in dict.fromkeys(link.partition("#")[0] for link in links):
                meet((resolve(url, base) if base else None) or url, link)


main(*sys.argv[1:])
