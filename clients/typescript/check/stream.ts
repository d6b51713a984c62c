/** Run by `npm run check`: a stream cut into pieces of every size gives the same events. */

import { connect, events, turn, BridgeError, type TurnEvent } from "../src/index.ts";

const wire =
  ': open\n\nid: 1\nevent: turn_started\ndata: {"turn_id":"t","session_id":"s"}\n\n: heartbeat\n\n' +
  'id: 2\nevent: token\ndata: {"text":"Zürich – 日本\\n\\nevent: error"}\n\n' +
  'id: 3\nevent: complete\ndata: {"turn_id":"t","session_id":"s","state":"completed","message_id":null,' +
  '"total_tokens":3,"total_cost_usd":0}\n\n';
const bytes = new TextEncoder().encode(wire);

function inPieces(size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

for (let size = 1; size <= bytes.length; size++) {
  const got: TurnEvent[] = [];
  for await (const event of events(inPieces(size))) got.push(event);
  must(got.map((event) => event.event).join() === "turn_started,token,complete", `pieces of ${size}: the events`);
  const token = got[1];
  must(token?.event === "token" && token.data.text === "Zürich – 日本\n\nevent: error", `pieces of ${size}: the text`);
}

const seen: Request[] = [];
const answers = [
  new Response(wire, { headers: { "content-type": "text/event-stream" } }),
  Response.json({ error: { code: "TURN_IN_PROGRESS", message: "busy", retryable: true } }, { status: 409 }),
];
const bridge = connect({
  baseUrl: "http://bridge.test",
  token: "brg_x",
  fetch: async (request) => {
    seen.push(request as Request);
    return answers.shift() ?? Response.error();
  },
});
let told = "";
for await (const event of turn(bridge, "s", "Show monthly flights")) told += ` ${event.event}`;
must(told === " turn_started token complete", told);
must(seen[0]?.url === "http://bridge.test/v1/chat/sessions/s/stream", "the address");
must(seen[0].headers.get("authorization") === "Bearer brg_x", "the token");
let refusal: unknown;
try {
  for await (const _ of turn(bridge, "s", "again"));
} catch (error) {
  refusal = error;
}
must(refusal instanceof BridgeError && refusal.code === "TURN_IN_PROGRESS", "a refusal is an error with its code");
