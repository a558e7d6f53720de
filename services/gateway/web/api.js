// Calls to the gateway: what came back, how long it took, and what went wrong in words.

import { readKey, demandKey } from "./key.js";

/** What went wrong, for people. */
export class CallError extends Error {
  constructor(message, { title = "That did not work", field = "", facts = null } = {}) {
    super(message);
    Object.assign(this, { title, field, facts });
  }
}

const TITLES = {
  400: "The gateway does not accept this",
  401: "An API key is needed",
  403: "This key may not do that",
  413: "This is too large",
  415: "This kind of file is not read here",
  429: "Too many requests",
  503: "The service does not answer at the moment",
  504: "The answer took too long",
};

/**
 * Sends one request.
 *
 * @param {string} path route of the gateway
 * @param {{body?: BodyInit, type?: string, fresh?: boolean, signal?: AbortSignal}} options `fresh`: no cached answer, and none to keep
 * @returns {Promise<{data: any, facts: Facts}>}
 * @throws {CallError} it was refused or did not arrive; an AbortError where `signal` says so
 */
export async function ask(path, { body, type, fresh = false, signal } = {}) {
  const headers = {};
  if (type) headers["content-type"] = type;
  if (fresh) headers["cache-control"] = "no-store";
  const key = readKey();
  if (key) headers["x-api-key"] = key;
  const started = performance.now();
  let response, text;
  try {
    response = await fetch(path, { method: body === undefined ? "GET" : "POST", body, headers, signal });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError("Is it running, and are you online?", { title: "The gateway cannot be reached" });
  }
  const data = parse(text);
  const facts = {
    latencyMs: performance.now() - started,
    cache: response.headers.get("x-seqserve-cache") ?? "",
    requestId: response.headers.get("x-request-id") ?? "",
    model: data?.model ?? null,
  };
  if (response.ok) return { data, facts };
  if (response.status === 401) demandKey();
  throw explain(response, data, facts);
}

function explain(response, data, facts) {
  const told = data?.error ?? {};
  const wait = Number(response.headers.get("retry-after"));
  const again = wait > 0 ? `. Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.` : "";
  const title = TITLES[response.status] ?? "That did not work";
  const message = `${told.message ?? `Status ${response.status}`}${again}`;
  return new CallError(message, { title, field: told.details?.[0]?.field ?? "", facts });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
