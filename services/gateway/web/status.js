// Whether the services answer: asked slowly, and only while somebody looks.

import { ask } from "./api.js";
import { byId } from "./elements.js";

const INTERVAL_MS = 10_000;
const SHOWN = ["sketch", "forecast", "video"];

/** Shows the state in the header, and a banner while something is missing. */
export function watchStatus() {
  let timer = 0;
  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    show(await read());
    timer = setTimeout(look, INTERVAL_MS);
  }
  document.addEventListener("visibilitychange", look);
  window.addEventListener("online", look);
  window.addEventListener("offline", look);
  look();
}

async function read() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    return (await response.json()).services ?? null; // 503 has them too
  } catch {
    return null;
  }
}

function show(services) {
  const missing = services ? SHOWN.filter((name) => !services[name]) : [];
  const isReady = services !== null && missing.length === 0;
  byId("status").dataset.state = isReady ? "ready" : "unready";
  const count = `${SHOWN.length - missing.length} of ${SHOWN.length} ready`;
  byId("status-text").textContent = services ? count : "offline";
  byId("banner").hidden = isReady;
  byId("banner").textContent = services
    ? `Not ready yet: ${missing.join(", ")}. Calls to it are refused meanwhile.`
    : "The gateway cannot be reached. This page tries again by itself.";
}

/** What the gateway says of itself, or null. */
export async function readOverview() {
  try {
    return (await ask("/v1/services")).data;
  } catch {
    return null;
  }
}
