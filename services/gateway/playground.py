"""The playground: static pages on which a person tries the models. They load nothing from elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from services.runtime.errors import NotFound

FOLDER = Path(__file__).parent / "web"
INDEX = "index.html"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",  # kept by browsers, and asked for by its ETag each time
}

router = APIRouter()


@dataclass(frozen=True)
class Page:
    """One file of the playground."""

    content: bytes
    content_type: str
    etag: str


@router.get("/", include_in_schema=False)
async def playground(request: Request) -> Response:
    """The page itself."""
    return _respond(request, INDEX)


@router.get("/web/{path:path}", include_in_schema=False)
async def playground_file(request: Request, path: str) -> Response:
    """What the page loads."""
    return _respond(request, path)


@cache
def read_pages() -> Mapping[str, Page]:
    """Every file of the playground, by its path in the folder."""
    return {
        file.relative_to(FOLDER).as_posix(): _read_page(file)
        for file in sorted(FOLDER.rglob("*"))
        if file.suffix in CONTENT_TYPES
    }


def _read_page(file: Path) -> Page:
    content = file.read_bytes()
    return Page(content, CONTENT_TYPES[file.suffix], f'"{sha256(content).hexdigest()[:32]}"')


def _respond(request: Request, path: str) -> Response:
    page = read_pages().get(path)
    if page is None:
        raise NotFound(f"no page /web/{path[:64]}")
    headers = {"etag": page.etag, **HEADERS}
    if page.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(page.content, media_type=page.content_type, headers=headers)
