/** Server-sent events (WHATWG HTML, 9.2) of a turn. Each `data` is JSON on one line; comments are heartbeats. */

import type { components } from "./schema.d.ts";

type TurnEvent = components["schemas"]["TurnEvent"];

/** The events of a stream, in order; pieces of any size, also within a character, are put together. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<TurnEvent, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const event = read(part);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    await reader.cancel();
  }
}

function read(part: string): TurnEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of part.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ""));
  }
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return { id: fields.get("id") ?? "", event: fields.get("event"), data: JSON.parse(data) } as TurnEvent;
}
