// The sketch tab: predictions follow the pen.

import { Answer, percent, showBars } from "../answer.js";
import { ask } from "../api.js";
import { byId, make } from "../elements.js";
import { sketchSnippets } from "../snippets.js";
import { Drawing } from "./drawing.js";
import { EXAMPLES } from "./examples.js";
import { LatestWins } from "./latest_wins.js";
import { wirePad } from "./pad.js";

const PLAY_MS = 12; // between two points of an example
const EMPTY = "The model guesses while you draw.";

/** Starts the tab; `place()` tells where the gateway is. */
export function startSketch(place) {
  const drawing = new Drawing();
  const answer = new Answer(byId("sketch-answer"), "What the model sees", EMPTY);
  const bars = make("ol", { class: "bars" });
  let player = 0;

  const requests = new LatestWins(async ({ strokes, isFinal }, signal) => {
    const body = JSON.stringify({ strokes, top_k: 5 });
    const options = { body, type: "application/json", fresh: !isFinal, signal };
    try {
      const { data, facts } = await ask("/v1/sketches:classify", options);
      const [best] = data.predictions;
      byId("guess").textContent = `${best.label} ${percent(best.probability)}`; // in sight of the pad on a phone
      const spoken = isFinal ? `${best.label}, ${percent(best.probability)}` : "";
      answer.show([showBars(data.predictions, bars)], facts, spoken, sketchSnippets(place(), strokes));
    } catch (error) {
      if (error.name !== "AbortError" && isFinal) answer.fail(error); // a draft is soon followed by another
    }
  });

  function request(isFinal) {
    byId("undo").disabled = byId("clear").disabled = drawing.isEmpty;
    const strokes = drawing.toStrokes();
    if (strokes && isFinal) requests.final({ strokes, isFinal });
    else if (strokes) requests.draft({ strokes, isFinal });
    else if (drawing.isEmpty) {
      requests.cancel();
      bars.replaceChildren();
      byId("guess").textContent = "";
      answer.clear();
    }
  }

  const showPad = wirePad(byId("pad"), drawing, (isFinal) => {
    clearInterval(player);
    request(isFinal);
  });

  function change(action) {
    clearInterval(player);
    action();
    showPad();
    request(true);
  }

  function play(strokes) {
    change(() => drawing.clear());
    const steps = strokes.flatMap((points) =>
      points.map((point, i) => ({ point, i, isLast: i === points.length - 1 })),
    );
    const step = () => {
      const { point, i, isLast } = steps.shift();
      if (i === 0) drawing.begin(...point);
      else drawing.extend(...point);
      if (isLast) drawing.end();
      if (steps.length === 0) clearInterval(player);
      showPad();
      request(steps.length === 0);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) while (steps.length) step();
    else player = setInterval(step, PLAY_MS);
  }

  byId("undo").addEventListener("click", () => change(() => drawing.undo()));
  byId("clear").addEventListener("click", () => change(() => drawing.clear()));
  const choice = byId("sketch-example");
  choice.append(...Object.keys(EXAMPLES).map((name) => make("option", { value: name }, name)));
  choice.addEventListener("change", () => {
    if (choice.value) play(EXAMPLES[choice.value]);
    choice.value = "";
  });
  request(false);
  return { again: () => request(true) };
}
