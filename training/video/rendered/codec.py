"""What a codec leaves of a clip: H.264 at low quality, or JPEG frame by frame."""

from fractions import Fraction

import av
import cv2
import numpy as np


def compress(rng: np.random.Generator, frames: np.ndarray, fps: float) -> np.ndarray:
    """H.264 for a sixth of the clips, JPEG for a quarter, nothing for the others.

    frames: uint8 [frames, height, width, 3] RGB, of even height and width.
    """
    kind = rng.random()
    if kind < 1 / 6:
        return through_h264(frames, fps, int(rng.integers(22, 40)), int(rng.integers(4, 250)))
    if kind < 5 / 12:
        return through_jpeg(frames, int(rng.integers(20, 85)))
    return frames


def through_h264(frames: np.ndarray, fps: float, crf: int, key_frames: int) -> np.ndarray:
    """Encodes and decodes; the same on every machine, for one thread encodes.

    Args:
        frames: uint8 [frames, height, width, 3] RGB, of even height and width.
        fps: frames per second.
        crf: x264's constant rate factor; 23 is its default, more is worse.
        key_frames: at most how many frames from one key frame to the next.
    """
    encoder: av.VideoCodecContext = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.thread_count = "yuv420p", 1
    encoder.framerate = Fraction(fps).limit_denominator(1000)
    encoder.time_base = 1 / encoder.framerate
    encoder.options = {"preset": "ultrafast", "crf": str(crf), "g": str(key_frames)}
    # By default conversions start threads, which costs more than they save.
    pictures = [av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format="yuv420p", threads=1) for frame in frames]
    packets = [packet for picture in [*pictures, None] for packet in encoder.encode(picture)]
    decoder: av.VideoCodecContext = av.CodecContext.create("h264", "r")
    decoder.thread_count, decoder.extradata = 1, encoder.extradata
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return np.stack([frame.to_ndarray(format="rgb24", threads=1) for frame in decoded])


def through_jpeg(frames: np.ndarray, quality: int) -> np.ndarray:
    """Each frame by itself at JPEG `quality`, 0 to 100. uint8 [frames, height, width, 3]"""
    encoded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in frames]
    return np.stack([np.asarray(cv2.imdecode(one, cv2.IMREAD_COLOR)) for one in encoded])
