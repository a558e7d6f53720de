// A strip of frames of a clip, by seeking in a <video>.

import { make } from "../elements.js";

const COUNT = 8;
const HEIGHT = 90;
const WAIT_MS = 5_000;
const UNREADABLE = "This browser cannot show this kind of clip. The model may read it all the same.";

/**
 * Fills `list` with frames of the clip, evenly over its length.
 *
 * @param {() => boolean} isStale stops it, because another clip took its place
 * @throws {Error} this browser cannot show the clip
 */
export async function showFrames(list, url, isStale) {
  list.replaceChildren();
  const video = make("video", { preload: "auto", playsinline: "" });
  video.muted = true;
  video.src = url;
  await once(video, "loadeddata");
  const duration = await findDuration(video);
  for (let i = 0; i < COUNT && !isStale(); i++) {
    const time = (duration * (i + 0.5)) / COUNT;
    await seek(video, time);
    if (!isStale()) list.append(makeFrame(video, time));
  }
  video.removeAttribute("src");
  video.load();
}

/** Recorders write no duration; seeking beyond the end makes the browser find it. */
async function findDuration(video) {
  if (Number.isFinite(video.duration)) return video.duration;
  await seek(video, 1e7);
  return Number.isFinite(video.duration) ? video.duration : video.currentTime;
}

async function seek(video, time) {
  const done = once(video, "seeked");
  video.currentTime = time;
  await done;
}

function makeFrame(video, time) {
  const canvas = make("canvas", { role: "img", "aria-label": `Frame at ${time.toFixed(1)} s` });
  canvas.height = HEIGHT;
  canvas.width = Math.max(1, Math.round((HEIGHT * video.videoWidth) / video.videoHeight));
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return make("li", {}, canvas);
}

function once(video, name) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(UNREADABLE));
    const timer = setTimeout(fail, WAIT_MS);
    video.addEventListener("error", fail, { once: true });
    video.addEventListener(
      name,
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
