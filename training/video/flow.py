"""Optical flow between the frames of a clip, by OpenCV."""

from itertools import pairwise
from typing import Literal

import cv2
import numpy as np

from training.video.rendered.dataset import to_luma

Method = Literal["farneback", "dis"]


def compute_flow(clips: np.ndarray, method: Method) -> np.ndarray:
    """Flow from each frame to the next (Farnebäck 2003; Kroeger et al. 2016, arXiv:1603.03590).

    Args:
        clips: uint8 [batch, frames, height, width, 1 or 3], luma or RGB; 16 pixels a side at least for "dis".
        method: of OpenCV.

    Returns:
        float32 [batch, frames - 1, height, width, 2]: pixels to the right and down.
    """
    luma = np.ascontiguousarray(clips[..., 0] if clips.shape[-1] == 1 else to_luma(clips))
    flow = np.empty((len(luma), luma.shape[1] - 1, *luma.shape[2:], 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST) if method == "dis" else None
    for clip, moved in zip(luma, flow, strict=True):
        for i, (first, second) in enumerate(pairwise(clip)):
            if search:
                moved[i] = search.calc(first, second, None)
            else:
                moved[i] = cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 2, 9, 3, 5, 1.1, 0)
    return flow
