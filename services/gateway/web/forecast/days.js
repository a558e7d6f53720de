// Days as whole numbers since 1970. Pure.

const DAY_MS = 86_400_000;
const DAY = { day: "numeric", month: "short", timeZone: "UTC" };
const LONG = new Intl.DateTimeFormat("en-GB", { ...DAY, weekday: "short", year: "numeric" });
const SHORT = new Intl.DateTimeFormat("en-GB", DAY);

/** "2026-10-01" -> number; NaN if there is no such day. */
export function toDay(text) {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (!year) return NaN;
  const time = Date.UTC(+year, +month - 1, +day);
  return toText(time / DAY_MS) === text ? time / DAY_MS : NaN; // 31 June would be 1 July
}

/** number -> "2026-10-01" */
export const toText = (day) => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** number -> "Thu, 1 Oct 2026" */
export const toLongText = (day) => LONG.format(day * DAY_MS);

/** number -> "1 Oct" */
export const toShortText = (day) => SHORT.format(day * DAY_MS);
