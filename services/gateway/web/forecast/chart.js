// History, median and bands as SVG.

import { draw } from "../elements.js";
import { toShortText } from "./days.js";
import { dayTicks, linear, runs, short, ticks } from "./scale.js";

const MARGIN = { top: 14, right: 14, bottom: 30, left: 54 };
const LABEL_WIDTH = 74;

/**
 * @typedef {{start: number, values: (number|null)[]}} History days and values that are shown
 * @typedef {{start: number, quantiles: number[][]}} Forecast 2.5 %, 10 %, 50 %, 90 % and 97.5 % by day
 * @returns {{svg: SVGElement, x: (day: number) => number, y: (value: number) => number}}
 */
export function drawChart(history, forecast, width, height) {
  const days = forecast.quantiles[2].length;
  const last = forecast.start + days - 1;
  const values = [...history.values.filter((value) => value !== null), ...forecast.quantiles.flat()];
  const marks = ticks(Math.min(...values), Math.max(...values), height < 280 ? 4 : 5);
  const x = linear([history.start, last], [MARGIN.left, width - MARGIN.right]);
  const y = linear([marks[0], marks.at(-1)], [height - MARGIN.bottom, MARGIN.top]);
  const now = x(forecast.start - 0.5);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
  svg.append(
    ...drawValueAxis(marks, y, width),
    ...drawDayAxis(dayTicks(history.start, last, Math.floor((width - MARGIN.left) / LABEL_WIDTH)), x, height),
    draw("line", { class: "now", x1: now, x2: now, y1: MARGIN.top, y2: height - MARGIN.bottom }),
    ...drawForecast(history, forecast, x, y),
    ...drawHistory(history, x, y),
  );
  return { svg, x, y };
}

function drawValueAxis(marks, y, width) {
  return marks.flatMap((mark) => [
    draw("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(mark), y2: y(mark) }),
    draw("text", { x: MARGIN.left - 8, y: y(mark) + 4, "text-anchor": "end" }, short(mark)),
  ]);
}

function drawDayAxis(days, x, height) {
  return days.map((day, i) => {
    const anchor = i === days.length - 1 ? "end" : x(day) < MARGIN.left + 16 ? "start" : "middle";
    const at = i === days.length - 1 ? x(day) + MARGIN.right - 2 : x(day);
    return draw("text", { x: at, y: height - 9, "text-anchor": anchor }, toShortText(day));
  });
}

function drawHistory({ start, values }, x, y) {
  return runs(start, values).map((run) =>
    run.length > 1
      ? draw("path", { class: "history", d: path(run, x, y) })
      : draw("circle", { class: "single", cx: x(run[0].day), cy: y(run[0].value), r: 2 }),
  );
}

function drawForecast(history, { start, quantiles }, x, y) {
  const end = history.values.at(-1) ?? null;
  const origin = end === null ? [] : [{ day: start - 1, value: end }];
  const lines = quantiles.map((values) => [...origin, ...values.map((value, i) => ({ day: start + i, value }))]);
  const band = (low, high) => `${path(low, x, y)}L${path([...high].reverse(), x, y).slice(1)}Z`;
  return [
    draw("path", { class: "band outer", d: band(lines[0], lines[4]) }),
    draw("path", { class: "band inner", d: band(lines[1], lines[3]) }),
    draw("path", { class: "median", d: path(lines[2], x, y) }),
  ];
}

const path = (points, x, y) =>
  `M${points.map(({ day, value }) => `${x(day).toFixed(1)},${y(value).toFixed(1)}`).join("L")}`;
