// The right-hand card of each panel: what came back, how, and the call as code.

import { byId, make } from "./elements.js";
import { SnippetBox } from "./snippet_box.js";

const CACHE_WORDS = { hit: "hit", miss: "miss", bypass: "bypassed", coalesced: "coalesced" };

export class Answer {
  #error;
  #result;
  #spoken;
  #facts;
  #snippets;
  #empty;

  /** Fills the card `root`; `empty` is shown until there is an answer. */
  constructor(root, title, empty) {
    root.append(byId("answer-template").content.cloneNode(true));
    root.querySelector("h2").textContent = title;
    const find = (name) => root.querySelector(name);
    [this.#error, this.#result, this.#spoken, this.#facts] = [".error", ".result", ".spoken", ".facts"].map(find);
    this.#snippets = new SnippetBox(find(".snippets"), root.id);
    this.#empty = empty;
    this.clear();
  }

  clear() {
    this.#error.hidden = true;
    this.#spoken.textContent = "";
    this.#facts.replaceChildren();
    this.#result.replaceChildren(make("p", { class: "empty" }, this.#empty));
    this.#snippets.hide();
  }

  /** Shows the nodes of an answer; `spoken` is what a screen reader says, "" for nothing. */
  show(nodes, facts, spoken, snippets) {
    this.#error.hidden = true;
    this.#result.replaceChildren(...nodes);
    if (spoken) this.#spoken.textContent = spoken;
    this.#showFacts(facts);
    this.#snippets.show(snippets);
  }

  /** Shows what went wrong, instead of an answer. */
  fail(error) {
    this.clear();
    this.#error.replaceChildren(make("strong", {}, error.title ?? "That did not work"), error.message);
    this.#error.hidden = false;
    this.#result.replaceChildren();
    if (error.facts) this.#showFacts(error.facts);
  }

  #showFacts({ latencyMs, cache, model, requestId }) {
    const facts = [
      ["Latency", `${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`, ""],
      ["Cache", CACHE_WORDS[cache] ?? cache, "cache"],
      ["Model", model ? `${model.name} · version ${model.version}` : "", "model"],
      ["Request id", requestId, "id"],
    ];
    this.#facts.replaceChildren(
      ...facts
        .filter(([, value]) => value)
        .map(([name, value, kind]) => make("div", {}, make("dt", {}, name), make("dd", { class: kind }, value))),
    );
  }
}

/** Classes as bars, into `list` (an element that earlier bars are in) or a new one. */
export function showBars(predictions, list = make("ol", { class: "bars" })) {
  while (list.children.length > predictions.length) list.lastChild.remove();
  predictions.forEach(({ label, probability }, i) => {
    const item = list.children[i] ?? list.appendChild(makeBar());
    item.querySelector(".label").textContent = label;
    item.querySelector(".share").textContent = percent(probability);
    item.querySelector(".fill").style.transform = `scaleX(${probability})`;
  });
  return list;
}

function makeBar() {
  const fill = make("div", { class: "fill" });
  fill.style.transform = "scaleX(0)";
  const track = make("div", { class: "track", "aria-hidden": "true" }, fill);
  return make("li", {}, make("span", { class: "label" }), make("span", { class: "share" }), track);
}

/** 0.973 -> "97.3 %". */
export const percent = (share) => `${(share * 100).toFixed(1)} %`;
