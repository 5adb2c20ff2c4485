// What the page asks of the server. Addresses are relative, so that it also works behind a proxy's prefix.

const KEPT_TOKEN = "onnx-cam token";
let token = readToken();

/** An answer that is an error: its message is the server's line. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function readToken() {
  try {
    return sessionStorage.getItem(KEPT_TOKEN);
  } catch {
    return null; // the browser keeps nothing for this page
  }
}

export function hasToken() {
  return token !== null;
}

export function setToken(text) {
  token = text;
  try {
    sessionStorage.setItem(KEPT_TOKEN, text);
  } catch {
    // it is asked for again after a reload
  }
}

async function request(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  let line = `The server answered with status ${response.status}.`;
  try {
    line = (await response.json()).error || line;
  } catch {
    // a proxy's own page
  }
  if (response.status === 429) line += ` It suggests ${response.headers.get("Retry-After") || "a few"} s.`;
  throw new ApiError(response.status, line);
}

export async function fetchChoices() {
  return (await request("api/choices")).json();
}

export async function fetchFile(href) {
  return (await request(href)).blob();
}

/** Explain, with events on the way: `on.waiting(event)`, `on.progress(event)`; returns the results. */
export async function explain(form, signal, on) {
  const headers = { Accept: "text/event-stream" };
  const response = await request("api/explain", { method: "POST", body: form, headers, signal });
  for await (const { name, content } of events(response)) {
    if (name === "result") return content.results;
    if (name === "error") throw new ApiError(content.status, content.error);
    on[name]?.(content);
  }
  throw new ApiError(0, "The server ended the answer early.");
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let searched = 0; // a result has megabytes: what holds no end is not searched twice
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n", searched)) >= 0; searched = 0) {
      const event = parse(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
    searched = Math.max(0, text.length - 1);
  }
}

function parse(block) {
  const fields = Object.fromEntries(
    block.split("\n").filter((line) => !line.startsWith(":")).map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
  return fields.event ? { name: fields.event, content: JSON.parse(fields.data) } : null;
}
