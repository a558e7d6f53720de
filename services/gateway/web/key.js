// The API key of this browser tab, where the gateway asks for one.

import { byId } from "./elements.js";

const NAME = "seqserve-key";

/** The key; "" for none. */
export function readKey() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

/** Shows the field for a key. */
export function demandKey() {
  byId("key-form").hidden = false;
}

/** Wires the field; calls `changed()` when there is a new key. */
export function wireKey(changed) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(NAME, byId("key").value.trim());
    byId("key").value = "";
    byId("key-form").hidden = true;
    changed();
  });
}
