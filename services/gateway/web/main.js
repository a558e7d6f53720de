// Starts the page.

import { byId, make } from "./elements.js";
import { readKey, wireKey } from "./key.js";
import { readOverview, watchStatus } from "./status.js";
import { wireTabs } from "./tabs.js";
import { startForecast } from "./forecast/panel.js";
import { startSketch } from "./sketch/panel.js";
import { startVideo } from "./video/panel.js";

const DEFAULT_GRPC_PORT = 8500;
let grpcPort = DEFAULT_GRPC_PORT;

/** Where snippets find the gateway. */
const place = () => ({
  origin: location.origin,
  grpcTarget: `${location.hostname}:${grpcPort}`,
  hasKey: readKey() !== "",
});

async function showOverview() {
  const overview = await readOverview();
  if (!overview) return;
  grpcPort = overview.grpc_port;
  const classes = [...overview.services.sketch.classes].sort();
  byId("sketch-classes").replaceChildren(...classes.map((name) => make("li", {}, name)));
  byId("classes-box").hidden = classes.length === 0;
}

const panels = { sketch: startSketch(place), forecast: startForecast(place), video: startVideo(place) };
let opened = "sketch";
wireTabs(document.querySelector('[role="tablist"]'), (id) => {
  opened = id;
  panels[id].resize?.();
});
wireKey(() => {
  showOverview();
  panels[opened].again();
});
byId("classes-box").hidden = true;
showOverview();
watchStatus();
