// The forecast tab: CSV in, chart out.

import { Answer } from "../answer.js";
import { ask } from "../api.js";
import { acceptFiles, byId, make, save } from "../elements.js";
import { forecastSnippets } from "../snippets.js";
import { ChartBox } from "./chart_box.js";
import { CsvError, readSeries } from "./csv.js";
import { toDay, toLongText } from "./days.js";
import { EXAMPLES } from "./examples.js";
import { short } from "./scale.js";
import { makeTable, toCsv } from "./table.js";

const HORIZON = 7;
const LEVELS = [0.025, 0.1, 0.5, 0.9, 0.975];
const EMPTY = "Load an example, or bring your own series.";
const MAX_FILE_BYTES = 4 * 2 ** 20;

/** Starts the tab; `place()` tells where the gateway is. */
export function startForecast(place) {
  const answer = new Answer(byId("forecast-answer"), "The next seven days", EMPTY);
  const chart = new ChartBox();
  let controller = null;
  let name = "series";

  async function run() {
    controller?.abort();
    controller = new AbortController();
    byId("csv-note").textContent = "";
    try {
      const { start, values, notes } = readSeries(byId("csv").value);
      byId("csv-note").textContent = `${notes.join(", ")}.`;
      const body = { series: [{ id: name, start, values }], horizon: HORIZON, quantiles: LEVELS };
      const request = { body: JSON.stringify(body), type: "application/json", signal: controller.signal };
      const { data, facts } = await ask("/v1/series:forecast", request);
      const [forecast] = data.forecasts;
      answer.show(arrange(chart, forecast, name), facts, speak(forecast), forecastSnippets(place(), body));
      const quantiles = LEVELS.map((level) => forecast.quantiles[level]);
      chart.show({ start: toDay(start), values }, { start: toDay(start) + values.length, quantiles });
    } catch (error) {
      if (error.name === "AbortError") return;
      answer.fail(error);
    }
  }

  function load(text, title) {
    byId("csv").value = text;
    name = title;
    run();
  }

  byId("forecast-run").addEventListener("click", run);
  byId("csv").addEventListener("input", () => (name = "series"));
  byId("csv").addEventListener("paste", () => setTimeout(run));
  acceptFiles(byId("csv-file"), byId("csv-drop"), async (file) => {
    if (file.size <= MAX_FILE_BYTES) load(await file.text(), file.name.slice(0, 256));
    else answer.fail(new CsvError(`The file has ${file.size} bytes; at most ${MAX_FILE_BYTES}.`));
  });
  const choice = byId("series-example");
  choice.append(...Object.keys(EXAMPLES).map((title) => make("option", { value: title }, title)));
  choice.addEventListener("change", () => {
    if (choice.value) load(EXAMPLES[choice.value](), choice.value);
    choice.value = "";
  });
  return { again: run, resize: () => chart.resize() };
}

function arrange(chart, forecast, name) {
  const scroll = make("div", { class: "scroll" }, makeTable(forecast, LEVELS));
  const table = make("details", {}, make("summary", {}, "The numbers"), scroll);
  const download = make("button", { type: "button", id: "forecast-save" }, "Download CSV");
  const fileName = `forecast-${name.replace(/\.csv$/, "").replace(/[^\w.-]+/g, "-")}.csv`;
  download.addEventListener("click", () => save(fileName, toCsv(forecast, LEVELS), "text/csv"));
  const controls = make("div", { class: "row between" }, make("div", { class: "grow" }, chart.period), download);
  return [controls, chart.element, chart.legend, table];
}

function speak({ dates, quantiles }) {
  const days = dates.map((date, i) => `${toLongText(toDay(date))}: ${short(quantiles[0.5][i])}`);
  return `Forecast. ${days.join("; ")}`;
}
