// The call as code, in the language that the reader chose, to copy.

import { make } from "./elements.js";

const LANGUAGES = [
  ["curl", "curl"],
  ["python", "Python"],
  ["client", "Light client"],
];

export class SnippetBox {
  #root;
  #code;
  #snippets = {};
  #language = LANGUAGES[0][0];

  /** Wires the box `root`; `name` makes its radio buttons a group of their own. */
  constructor(root, name) {
    this.#root = root;
    this.#code = root.querySelector("code");
    const choices = LANGUAGES.map(([id, title]) => this.#makeChoice(`${name}-language`, id, title));
    root.querySelector(".segments").append(...choices);
    const copy = root.querySelector(".copy");
    copy.addEventListener("click", async () => {
      copy.textContent = (await copyText(this.#code)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (copy.textContent = "Copy"), 2_000);
    });
  }

  hide() {
    this.#root.hidden = true;
  }

  show(snippets) {
    this.#snippets = snippets;
    this.#root.hidden = false;
    this.#code.textContent = snippets[this.#language];
  }

  #makeChoice(group, id, title) {
    const input = make("input", { type: "radio", name: group, value: id });
    input.checked = id === this.#language;
    input.addEventListener("change", () => {
      this.#language = id;
      this.show(this.#snippets);
    });
    return make("label", {}, input, title);
  }
}

async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element); // without HTTPS, browsers offer no clipboard
    return false;
  }
}
