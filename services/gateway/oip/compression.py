"""Compressed HTTP bodies, bounded in what they unfold to."""

import zlib

from services.runtime.errors import InvalidInput, PayloadTooLarge

WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
MIN_COMPRESSED_BYTES = 512  # below, compression costs more than it saves
LEVEL = 1


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before its content-encoding.

    Raises:
        InvalidInput: the encoding is unknown, or the body is not whole or not of that encoding.
        PayloadTooLarge: it unfolds to more than `max_bytes`.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOWS:
        raise InvalidInput(f"'{encoding[:32]}'; {', '.join(WINDOWS)}", "content-encoding")
    inflater = zlib.decompressobj(WINDOWS[encoding])
    try:
        content = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        raise InvalidInput(f"not {encoding}, as content-encoding says", "body") from None
    if len(content) > max_bytes:
        raise PayloadTooLarge(f"more than {max_bytes} bytes after decompression; at most {max_bytes}", "body")
    if not inflater.eof or inflater.unused_data:
        raise InvalidInput(f"not one whole {encoding} stream", "body")
    return content


def choose_encoding(accepted: str, size: int) -> str:
    """Encoding of a response of `size` bytes for a client's accept-encoding; empty for none."""
    if size < MIN_COMPRESSED_BYTES:
        return ""
    offers = {}
    for offer in accepted.lower().split(","):
        name, _, weight = offer.partition(";")
        offers[name.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((name for name in WINDOWS if offers.get(name)), "")


def compress(body: bytes, encoding: str) -> bytes:
    """The body in an encoding that `choose_encoding` chose."""
    deflater = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOWS[encoding])
    return deflater.compress(body) + deflater.flush()
