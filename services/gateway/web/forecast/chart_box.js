// The chart with its period, tooltip and legend.

import { draw, make } from "../elements.js";
import { drawChart } from "./chart.js";
import { toLongText } from "./days.js";
import { short } from "./scale.js";

const PERIODS = [
  ["28", "4 weeks"],
  ["56", "8 weeks"],
  ["182", "Half a year"],
  ["365", "A year"],
  ["", "Everything"],
];
const KEYS = [
  ["line", "history", "History"],
  ["line", "median", "Median"],
  ["rect", "band inner", "80 % interval"],
  ["rect", "band outer", "95 % interval"],
];
const LABEL = "Chart of history and forecast. Arrow keys move from day to day.";
const DEFAULT_PERIOD = { narrow: "28", wide: "56" };
const NARROW = 520;

export class ChartBox {
  element = make("div", { class: "chart", tabindex: "0", role: "group", "aria-label": LABEL });
  legend = make("ul", { class: "legend" });
  period = make("select", { "aria-label": "Period that is shown" });
  #tip = make("div", { class: "tip", role: "status" });
  #cursor = draw("g");
  #data = null;
  #shown = null;
  #day = 0;

  constructor() {
    this.period.append(...PERIODS.map(([value, name]) => make("option", { value }, name)));
    this.period.value = DEFAULT_PERIOD[innerWidth < 860 ? "narrow" : "wide"];
    this.period.addEventListener("change", () => this.resize());
    this.legend.append(...KEYS.map(makeKey));
    this.element.addEventListener("pointermove", (event) => this.#point(event));
    this.element.addEventListener("pointerdown", (event) => this.#point(event));
    this.element.addEventListener("pointerleave", () => this.#hide());
    this.element.addEventListener("blur", () => this.#hide());
    this.element.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  /** Shows a series {start, values} (start as a day) and its forecast {start, quantiles}. */
  show(history, forecast) {
    this.#data = { history, forecast };
    this.#shown = null;
    this.resize();
  }

  /** Draws again, where the width or the data changed. */
  resize() {
    const width = this.element.clientWidth;
    if (!this.#data || width === 0) return;
    if (this.#shown?.width === width && this.#shown.period === this.period.value) return;
    const { history, forecast } = this.#data;
    const count = Math.min(Number(this.period.value) || history.values.length, history.values.length);
    const skipped = history.values.length - count;
    const visible = { start: history.start + skipped, values: history.values.slice(skipped) };
    const chart = drawChart(visible, forecast, width, width < NARROW ? 250 : 340);
    this.#shown = { ...chart, visible, width, period: this.period.value };
    chart.svg.append(this.#cursor);
    this.#day = forecast.start;
    this.element.replaceChildren(chart.svg, this.#tip);
    this.#hide();
  }

  #hide() {
    this.#tip.hidden = true;
    this.#cursor.replaceChildren();
  }

  #point(event) {
    if (!this.#shown) return;
    const { visible, x } = this.#shown;
    const perDay = x(visible.start + 1) - x(visible.start);
    const right = event.clientX - this.element.getBoundingClientRect().left - x(visible.start);
    this.#tell(visible.start + Math.round(right / perDay));
  }

  #step(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.#shown) return;
    event.preventDefault();
    this.#tell(this.#tip.hidden ? this.#day : this.#day + step);
  }

  #tell(day) {
    const { visible, x, y } = this.#shown;
    const { forecast } = this.#data;
    this.#day = Math.min(Math.max(day, visible.start), forecast.start + forecast.quantiles[2].length - 1);
    const at = this.#day - forecast.start;
    const value = at < 0 ? visible.values[this.#day - visible.start] : forecast.quantiles[2][at];
    this.#tip.replaceChildren(make("b", {}, toLongText(this.#day)), ...describe(value, at, forecast));
    this.#tip.hidden = false;
    const left = x(this.#day);
    const room = this.element.clientWidth - this.#tip.offsetWidth;
    this.#tip.style.transform = `translate(${Math.min(Math.max(left - this.#tip.offsetWidth / 2, 0), room)}px, 0)`;
    const bottom = this.#shown.svg.viewBox.baseVal.height - 30;
    this.#cursor.replaceChildren(draw("line", { class: "cursor", x1: left, x2: left, y1: 14, y2: bottom }));
    if (value !== null) this.#cursor.append(draw("circle", { class: "mark", cx: left, cy: y(value), r: 5 }));
  }
}

function describe(value, at, { quantiles }) {
  if (value === null) return ["no value"];
  if (at < 0) return [short(value)];
  const range = (low, high) => `${short(quantiles[low][at])} to ${short(quantiles[high][at])}`;
  return [`${short(value)} `, make("br"), `80 %: ${range(1, 3)}`, make("br"), `95 %: ${range(0, 4)}`];
}

function makeKey([shape, kind, name]) {
  const position = shape === "line" ? { x1: 1, x2: 21, y1: 6, y2: 6 } : { width: 22, height: 12, rx: 3 };
  const line = draw(shape, { class: kind, ...position });
  const sample = draw("svg", { viewBox: "0 0 22 12", "aria-hidden": "true" }, line);
  return make("li", {}, make("span", { class: "chart" }, sample), name);
}
