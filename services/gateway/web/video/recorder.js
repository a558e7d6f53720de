// Clips of a stream, and of the camera.

const KINDS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];
const CAMERA_MS = 2_500;
const CAMERA = { video: { width: 640, height: 480, facingMode: "environment" } };
const DENIED = "The camera may not be used: the browser says no.";
const ABSENT = "There is no camera that can be used.";

/** Records a stream until `done` resolves; a file, or an error in words. */
export async function record(stream, name, done) {
  const mimeType = KINDS.find((kind) => globalThis.MediaRecorder?.isTypeSupported(kind));
  if (!mimeType) throw new Error("This browser cannot record clips.");
  const recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 2_500_000 });
  const pieces = [];
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
  recorder.start();
  await done;
  recorder.stop();
  await stopped;
  const type = mimeType.split(";")[0];
  return new File(pieces, `${name}.${type.split("/")[1]}`, { type });
}

/** Records the camera for a moment, while `preview` shows it. */
export async function recordCamera(preview) {
  if (!navigator.mediaDevices) throw new Error("Browsers let pages use a camera over HTTPS and on localhost only.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(CAMERA);
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? DENIED : ABSENT);
  }
  try {
    preview.srcObject = stream;
    await preview.play();
    return await record(stream, "camera", new Promise((resolve) => setTimeout(resolve, CAMERA_MS)));
  } finally {
    preview.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}
