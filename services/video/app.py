"""The video service as a Ray Serve application: import path `services.video.app:build`."""

from typing import Any

from services.runtime.deployment import Companion, build_application
from services.runtime.settings import ServingSettings
from services.runtime.versions.repository import Names
from services.video.decoder import ClipDecoder, decode_with
from services.video.service import VideoService


def build(args: dict[str, Any]) -> Any:
    """Builds the application from ServingSettings' fields, as serve.yaml gives them under `args`."""
    settings = ServingSettings(**args)
    names = Names.exactly("video")
    if not settings.decoders:
        return build_application(VideoService, "video", names, settings)
    decoder = Companion(
        ClipDecoder,
        arguments=(settings.decoder_threads,),
        replicas=settings.decoders,
        cpus=settings.decoder_cpus,
        max_per_node=settings.max_replicas_per_node,
        max_ongoing=settings.decoder_threads * 2,  # the next clips are there when one is done
        max_queued=settings.decoder_queue,
        adapt=decode_with,
    )
    return build_application(VideoService, "video", names, settings, decoder)
