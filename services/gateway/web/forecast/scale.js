// From days and values to pixels. Pure.

/** A line through two points: value -> pixel. */
export function linear([from, to], [start, end]) {
  const factor = to === from ? 0 : (end - start) / (to - from);
  return (value) => start + (value - from) * factor;
}

/** About `count` round numbers that cover [low, high]. */
export function ticks(low, high, count = 5) {
  const raw = (high - low || Math.abs(high) || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw * 0.999) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Days to label, counted back from `last`, so that at most `count` fit; whole weeks where there are more. */
export function dayTicks(first, last, count) {
  const raw = (last - first) / Math.max(count, 1);
  const step = [1, 2, 7, 14, 28, 56, 91, 182, 364].find((days) => days >= raw) ?? Math.ceil(raw / 364) * 364;
  const found = [];
  for (let day = last; day >= first; day -= step) found.unshift(day);
  return found;
}

/** Runs of points without a gap: values (null for none) -> [[{day, value}…]…] */
export function runs(start, values) {
  const found = [];
  values.forEach((value, i) => {
    if (value === null) return;
    if (i === 0 || values[i - 1] === null) found.push([]);
    found.at(-1).push({ day: start + i, value });
  });
  return found;
}

/** A number as short as it may be. */
export function short(value) {
  const size = Math.abs(value);
  const isFar = size >= 1e5 || (size > 0 && size < 1e-3);
  if (isFar) return COMPACT.format(value);
  return (size >= 1_000 ? WHOLE : FINE).format(value);
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
