"""Bodies of the REST door: clips in a form or in JSON."""

from collections.abc import Mapping

from fastapi import Request
from starlette.datastructures import UploadFile

from services.runtime.errors import InvalidInput, UnsupportedMedia
from services.video.schema import DEFAULT_TOP_K, MAX_TOP_K, ClassifyVideoRequest, ClassifyVideosRequest

JSON, FORM = "application/json", "multipart/form-data"


async def read_clips(request: Request) -> ClassifyVideoRequest | ClassifyVideosRequest:
    """The clips of a form, or the one of a JSON body.

    Raises:
        UnsupportedMedia: the body is neither.
        InvalidInput: a field is missing, unknown or wrong.
        ValidationError: so does the schema find.
    """
    kind = kind_of(request.headers)
    if kind == JSON:
        return ClassifyVideoRequest.model_validate_json(await request.body())
    if kind != FORM:
        raise refuse_media(request, FORM, JSON)
    form = await request.form()
    files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    if unknown := set(form) - {"file", "top_k"}:
        raise InvalidInput("not a field of this request; file, top_k", sorted(unknown)[0][:64])
    if not files:
        raise InvalidInput("missing; send the clip as an uploaded file", "file")
    top_k = str(form.get("top_k", DEFAULT_TOP_K))
    if not (top_k.isascii() and top_k.isdecimal() and len(top_k) < 10):
        raise InvalidInput(f"'{top_k[:32]}' is not a whole number from 1 to {MAX_TOP_K}", "top_k")
    clips = [{"content": await part.read()} for part in files]
    return ClassifyVideosRequest.model_validate({"clips": clips, "top_k": int(top_k)})


def refuse_media(request: Request, *kinds: str) -> UnsupportedMedia:
    """What a body of another kind than these is told."""
    return UnsupportedMedia(f"'{kind_of(request.headers)[:64]}'; {' or '.join(kinds)}", "content-type")


def kind_of(headers: Mapping[str, str]) -> str:
    """The media type that a request says it is of, without parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
