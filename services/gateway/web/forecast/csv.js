// Daily series from CSV. Pure.

import { toDay, toText } from "./days.js";

const DATE_NAMES = ["ds", "date", "day"];
const VALUE_NAMES = ["y", "value", "count"];
const MISSING = ["", "na", "nan", "null", "none", "-"];
const MIN_OBSERVED = 8; // limits of the API
const MAX_DAYS = 20_000;

/** What is wrong with a CSV, and in which of its lines (from 1; 0 for none). */
export class CsvError extends Error {
  constructor(message, line = 0) {
    super(line ? `Line ${line}: ${message}` : message);
    this.title = "This CSV cannot be read as a daily series";
    this.line = line;
  }
}

/**
 * Reads a date and a value per line, in any order; days that are left out become null.
 *
 * @returns {{start: string, values: (number|null)[], notes: string[]}} `notes` tell what was mended
 * @throws {CsvError}
 */
export function readSeries(text) {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/).map((content, i) => ({ content, line: i + 1 }));
  const filled = lines.filter(({ content }) => content.trim());
  if (filled.length === 0) throw new CsvError("There are no lines.");
  const separator = [";", "\t", ","].find((mark) => filled[0].content.includes(mark));
  if (!separator) throw new CsvError("no comma, semicolon or tab between date and value", filled[0].line);
  const rows = filled.map(({ content, line }) => ({ fields: content.split(separator).map(unquote), line }));
  const { columns, hasHeader } = findColumns(rows[0].fields);
  const points = rows.slice(hasHeader ? 1 : 0).map((row) => readRow(row, columns, separator));
  return toSeries(points);
}

function findColumns(first) {
  if (!Number.isNaN(toDay(readDate(first[0])))) return { columns: [0, 1], hasHeader: false };
  const names = first.map((name) => name.toLowerCase());
  if (names.every((name) => /\d/.test(name))) return { columns: [0, 1], hasHeader: false }; // a line with a wrong date
  const find = (known, otherwise) => {
    const at = names.findIndex((name) => known.includes(name));
    return at < 0 ? otherwise : at;
  };
  return { columns: [find(DATE_NAMES, 0), find(VALUE_NAMES, 1)], hasHeader: true };
}

function readRow({ fields, line }, [dateAt, valueAt], separator) {
  const day = toDay(readDate(fields[dateAt] ?? ""));
  if (Number.isNaN(day)) throw new CsvError(`'${fields[dateAt] ?? ""}' is not a date; YYYY-MM-DD`, line);
  const raw = fields[valueAt] ?? "";
  if (MISSING.includes(raw.toLowerCase())) return { day, value: null, line };
  const value = Number(separator === "," ? raw : raw.replace(",", "."));
  if (!Number.isFinite(value)) throw new CsvError(`'${raw}' is not a number`, line);
  return { day, value, line };
}

function toSeries(points) {
  const notes = [];
  const byDay = new Map();
  for (const point of points) {
    const before = byDay.get(point.day);
    if (before && before.value !== point.value) {
      throw new CsvError(`${toText(point.day)} has another value already, in line ${before.line}`, point.line);
    }
    byDay.set(point.day, before ?? point);
  }
  if (byDay.size < points.length) notes.push(`${count(points.length - byDay.size, "repeated line")} left out`);
  if (points.some((point, i) => i > 0 && point.day < points[i - 1].day)) notes.push("sorted by date");
  const days = [...byDay.keys()].sort((a, b) => a - b);
  const length = days.length ? days.at(-1) - days[0] + 1 : 0;
  if (length > MAX_DAYS) throw new CsvError(`The series spans ${length} days; at most ${MAX_DAYS}.`);
  const values = Array.from({ length }, (_, i) => byDay.get(days[0] + i)?.value ?? null);
  const observed = values.filter((value) => value !== null).length;
  if (observed < MIN_OBSERVED) {
    throw new CsvError(`The series has ${count(observed, "value")}; at least ${MIN_OBSERVED}.`);
  }
  if (observed < length) notes.push(`${count(length - observed, "day")} without a value`);
  return { start: toText(days[0]), values, notes: [count(length, "day"), ...notes] };
}

const readDate = (field) => field.slice(0, 10).replaceAll("/", "-");
const unquote = (field) => field.trim().replace(/^"(.*)"$/, "$1").trim();
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
