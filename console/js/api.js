/** Calls to the API: the session travels in a cookie, a change also carries the CSRF value of its page. */
export class ApiError extends Error {
  constructor(status, body) {
    const error = body?.error ?? {};
    super(error.message ?? `The server answered ${status}.`);
    Object.assign(this, { status, code: error.code ?? "UNKNOWN", field: error.field, reason: error.reason, details: error.details, retryable: error.retryable ?? false, correlationId: error.correlation_id });
  }
}

function csrf() {
  return document.cookie.split("; ").find((part) => part.startsWith("bridge_csrf="))?.slice("bridge_csrf=".length) ?? "";
}

async function send(method, path, { body, headers = {}, signal } = {}) {
  const all = { Accept: "application/json", ...headers };
  if (body !== undefined) all["Content-Type"] = "application/json";
  if (method !== "GET") all["X-Bridge-CSRF"] = csrf();
  try {
    return await fetch(path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin", signal });
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError(0, { error: { code: "OFFLINE", message: "Bridge can't be reached. Check the connection and try again.", retryable: true } });
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const type = response.headers.get("Content-Type") ?? "";
  const body = type.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw new ApiError(response.status, body);
  return body;
}

export const get = async (path, options) => answer(await send("GET", path, options));
export const post = async (path, body = {}, options = {}) => answer(await send("POST", path, { ...options, body }));
export const remove = async (path) => answer(await send("DELETE", path));

/**
 * Read server-sent events of a POST or GET, calling `on(event, data, id)` for each. Resolves at the stream's end with
 * the id of the last event, so that a caller whose connection broke can come back for the rest.
 */
export async function stream(method, path, { body, lastEventId, signal, headers = {}, on }) {
  const response = await send(method, path, { body, signal, headers: { ...headers, Accept: "text/event-stream", ...(lastEventId ? { "Last-Event-ID": lastEventId } : {}) } });
  if (!response.ok) await answer(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", last = lastEventId ?? null;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return last;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = { event: "message", data: [] };
      for (const line of block.split(/\r?\n/)) {
        if (line.startsWith(":")) continue;
        const [, name, text] = line.match(/^([^:]*):? ?(.*)$/s);
        if (name === "data") fields.data.push(text); else fields[name] = text;
      }
      if (fields.data.length === 0) continue;
      if (fields.id) last = fields.id;
      on(fields.event, JSON.parse(fields.data.join("\n")), fields.id);
    }
  }
}

/** Poll a job until it ends, telling `on(job)` each time. */
export async function follow(jobId, on, signal) {
  for (let wait = 250; ; wait = Math.min(wait * 1.4, 2000)) {
    const job = await get(`/v1/onboarding/jobs/${jobId}`, { signal });
    on(job);
    if (!["queued", "running"].includes(job.state)) return job;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
