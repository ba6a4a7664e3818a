// Calls to /api/v1. Every refusal becomes a Problem that carries the server's own words.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.what || body.title || `The engine answered ${status}`);
    this.status = status;
    this.title = body.title || "";
    this.got = body.got;
    this.allowed = body.allowed;
    this.retryAfterS = null;
  }

  /** In one sentence or two: what, got, allowed. */
  get words() {
    const parts = [this.message.replace(/[.\s]+$/, "")];
    if (filled(this.got) && !this.message.includes(String(this.got))) parts.push(`Got: ${show(this.got)}`);
    if (filled(this.allowed) && !this.message.includes("allowed")) parts.push(`Allowed: ${show(this.allowed)}`);
    return `${parts.join(". ")}.`;
  }
}

/** The engine could not be reached, or the connection broke: a command may have been carried out or not. */
export class NoConnection extends Error {
  get words() {
    return "The engine cannot be reached. Once it can, reload the page to see what holds.";
  }
}

const READ_S = 10; // a connection that has died without a word must not hold up what asks again and again
const COMMAND_S = 60; // some wait for others, and for a camera's last frames

/** The engine has taken the question, and gives no answer. */
export class NoAnswer extends Error {
  constructor(method) {
    super("The engine gives no answer");
    this.isCommand = method !== "GET";
  }

  get words() {
    return this.isCommand
      ? `The engine has not answered within ${COMMAND_S} s. Whether anything was changed is not known: reload the page to see.`
      : `The engine has not answered within ${READ_S} s.`;
  }
}

/** Ends a request in time, or with `signal` where there is one. */
export const patience = (method, signal) => {
  const timeout = AbortSignal.timeout((method === "GET" ? READ_S : COMMAND_S) * 1000);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
};

const filled = (value) => value !== undefined && value !== null && value !== "";
const show = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

export const wordsOf = (error) => error.words || String(error.message || error);

export async function send(method, path, { body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: patience(method, signal),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw error.name === "TimeoutError" ? new NoAnswer(method) : new NoConnection(String(error));
  }
  const isLogin = response.redirected && new URL(response.url).pathname === "/login"; // what a page asks of is sent there
  if (response.ok && !isLogin) return response;
  const problem = isLogin ? new Problem(401, {}) : new Problem(response.status, await response.json().catch(() => ({})));
  problem.retryAfterS = Number(response.headers.get("retry-after")) || null;
  if (problem.status === 401) document.dispatchEvent(new CustomEvent("vad:signed-out"));
  throw problem;
}

export async function call(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

export const get = (path, options) => call("GET", path, options);

export const camera = (id) => `/api/v1/cameras/${encodeURIComponent(id)}`;
export const event = (id) => `/api/v1/events/${encodeURIComponent(id)}`;

export function query(values) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (filled(value)) search.set(key, value);
  return search.size ? `?${search}` : "";
}
