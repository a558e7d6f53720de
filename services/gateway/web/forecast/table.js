// The forecast as a table and as CSV.

import { make } from "../elements.js";
import { toDay, toLongText } from "./days.js";
import { short } from "./scale.js";

/** The table, which stands beside the chart for those who cannot see it. */
export function makeTable({ dates, quantiles }, levels) {
  const [low95, low80, median, high80, high95] = levels.map((level) => quantiles[level]);
  const range = (low, high, i) => `${short(low[i])} – ${short(high[i])}`;
  const rows = dates.map((date, i) => [
    toLongText(toDay(date)),
    short(median[i]),
    range(low80, high80, i),
    range(low95, high95, i),
  ]);
  const head = ["Day", "Median", "80 %", "95 %"].map((name) => make("th", { scope: "col" }, name));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  const caption = make("caption", { class: "unseen" }, "Forecast by day");
  return make("table", {}, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

/** The forecast as CSV, one line per day. */
export function toCsv({ dates, mean, quantiles }, levels) {
  const head = ["ds", "mean", ...levels.map((level) => `q${level}`)];
  const rows = dates.map((date, i) => [date, mean[i], ...levels.map((level) => quantiles[level][i])]);
  return [head, ...rows].map((row) => `${row.join(",")}\n`).join("");
}
