// The video tab: a clip in, frames and classes out.

import { Answer, percent, showBars } from "../answer.js";
import { ask } from "../api.js";
import { acceptFiles, byId, make, save } from "../elements.js";
import { videoSnippets } from "../snippets.js";
import { showFrames } from "./frames.js";
import { recordCamera } from "./recorder.js";
import { makeClip, MOTIONS } from "./scene.js";

/** Starts the tab; `place()` tells where the gateway is. */
export function startVideo(place) {
  const answer = new Answer(byId("video-answer"), "What the model sees", "Choose, record or make a clip.");
  const preview = byId("preview");
  const note = (text) => (byId("clip-note").textContent = text);
  let clip = null;
  let url = "";
  let controller = null;

  async function classify() {
    if (!clip) return;
    controller?.abort();
    controller = new AbortController();
    const body = new FormData();
    body.append("file", clip);
    body.append("top_k", "5");
    try {
      const { data, facts } = await ask("/v1/videos:classify", { body, signal: controller.signal });
      const [best] = data.predictions;
      const spoken = `${best.label}, ${percent(best.probability)}`;
      answer.show([showBars(data.predictions)], facts, spoken, videoSnippets(place(), clip.name));
    } catch (error) {
      if (error.name !== "AbortError") answer.fail(error);
    }
  }

  function take(file, isOwn) {
    clip = file;
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(file);
    answer.clear();
    note(`${file.name}, ${Math.max(1, Math.round(file.size / 1024))} KB`);
    byId("clip-save").hidden = isOwn;
    showStage(preview, file, url);
    const mine = url;
    showFrames(byId("frames"), url, () => url !== mine).catch((error) => {
      if (url === mine && !file.type.startsWith("image/")) note(error.message);
    });
    classify();
  }

  async function produce(text, make) {
    const controls = ["record", "clip-example", "clip-file"].map(byId);
    for (const control of controls) control.disabled = true;
    note(text);
    try {
      take(await make(), false);
    } catch (error) {
      note(error.message);
    } finally {
      for (const control of controls) control.disabled = false;
    }
  }

  acceptFiles(byId("clip-file"), byId("clip-drop"), (file) => take(file, true));
  byId("clip-save").addEventListener("click", () => save(clip.name, clip, clip.type));
  byId("record").addEventListener("click", () => {
    showLive(preview);
    produce("Recording for two and a half seconds. Move the camera one way.", () => recordCamera(preview));
  });
  const choice = byId("clip-example");
  choice.append(...Object.keys(MOTIONS).map((name) => make("option", { value: name }, `Camera: ${name}`)));
  choice.addEventListener("change", () => {
    const motion = choice.value;
    choice.value = "";
    if (motion) produce("Filming a drawn village for two and a half seconds.", () => makeClip(motion));
  });
  return { again: classify };
}

function showLive(preview) {
  preview.hidden = false;
  preview.removeAttribute("src");
  fillStage();
}

function fillStage() {
  byId("clip-prompt").hidden = true;
  byId("clip-drop").classList.add("is-filled");
}

function showStage(preview, file, url) {
  document.getElementById("preview-image")?.remove();
  fillStage();
  preview.hidden = file.type.startsWith("image/");
  if (preview.hidden) {
    preview.after(make("img", { id: "preview-image", src: url, alt: "Your clip" }));
    return;
  }
  preview.src = url;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) preview.controls = true;
  else preview.play().catch(() => {}); // shown as a still where it may not play
}
