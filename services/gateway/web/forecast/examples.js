// Synthetic series. Each has a fixed seed, so that its answer may come from the cache. Pure.

import { toDay, toText } from "./days.js";

const DAYS = 400;
const END = toDay("2026-01-11");

/** name -> CSV */
export const EXAMPLES = {
  "Bakery, Christmas dip": () => {
    const week = [86, 90, 94, 99, 128, 176, 118];
    const holidays = { "12-25": 0.15, "12-26": 0.35, "01-01": 0.3, "12-24": 1.35, "12-31": 1.2 };
    return write(1, (day, noise, i) => {
      const name = toText(day).slice(5);
      return Math.round(week[weekday(day)] * (1 + i / 2_000) * (holidays[name] ?? 1) * (1 + 0.14 * noise));
    });
  },
  "Museum, closed on Mondays": () => {
    const week = [0, 410, 430, 460, 590, 980, 1120];
    return write(2, (day, noise) => {
      const season = 1 + 0.25 * Math.sin((2 * Math.PI * (day % 365)) / 365 - 1.2);
      return Math.round(week[weekday(day)] * season * (1 + 0.09 * noise));
    });
  },
  "Bicycle counter with gaps": () => {
    const week = [2140, 2290, 2310, 2250, 1980, 1210, 1050];
    return write(3, (day, noise, i) => {
      if (i % 97 > 92 || i % 41 === 17) return null;
      const season = 1 + 0.35 * Math.sin((2 * Math.PI * (day % 365)) / 365 - 1.7);
      return Math.round(week[weekday(day)] * season * (1 + 0.1 * noise));
    });
  },
};

function write(seed, valueOf) {
  const random = seeded(seed);
  const rows = Array.from({ length: DAYS }, (_, i) => {
    const day = END - DAYS + 1 + i;
    const noise = random() + random() + random() - 1.5;
    return `${toText(day)},${valueOf(day, noise, i) ?? ""}`;
  });
  return `ds,y\n${rows.join("\n")}\n`;
}

const weekday = (day) => (day + 3) % 7; // Monday is 0

/** mulberry32 */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
