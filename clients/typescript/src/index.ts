/**
 * The Bridge API with its types: paths, bodies, answers and errors are those of docs/openapi.yaml.
 *
 *     const bridge = connect({ baseUrl: "http://127.0.0.1:8080", token });
 *     const { data, error } = await bridge.GET("/v1/dashboards/{slug}", { params: { path: { slug: "flights" } } });
 *     for await (const event of turn(bridge, sessionId, "Show monthly flights")) { … }
 */

import createClient, { type Client, type Middleware } from "openapi-fetch";

import type { components, paths } from "./schema.d.ts";
import { events } from "./stream.ts";

export type { components, paths } from "./schema.d.ts";
export { events } from "./stream.ts";

export type ErrorEnvelope = components["schemas"]["ErrorEnvelope"];
export type ErrorCode = ErrorEnvelope["error"]["code"];
export type TurnEvent = components["schemas"]["TurnEvent"];
export type Bridge = Client<paths>;

export interface Options {
  /** The origin, for instance http://127.0.0.1:8080. */
  baseUrl: string;
  /** A personal access token; without one the browser's session cookie is sent. */
  token?: string;
  /** What a browser's session echoes with every change: `csrf_token` of GET /v1/auth/me. */
  csrfToken?: string;
  /** Another fetch, for tests and for older runtimes. */
  fetch?: typeof globalThis.fetch;
}

/** A client whose calls are checked against the API's description. */
export function connect(options: Options): Bridge {
  const client = createClient<paths>({
    baseUrl: options.baseUrl,
    credentials: options.token === undefined ? "include" : "omit",
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  });
  const credentials: Middleware = {
    onRequest({ request }) {
      if (options.token !== undefined) request.headers.set("Authorization", `Bearer ${options.token}`);
      else if (options.csrfToken !== undefined && request.method !== "GET")
        request.headers.set("X-Bridge-CSRF", options.csrfToken);
      return request;
    },
  };
  client.use(credentials);
  return client;
}

/** A refusal: the code says what happened, `retryable` whether the same call can succeed later. */
export class BridgeError extends Error {
  constructor(readonly envelope: ErrorEnvelope) {
    super(envelope.error.message);
    this.name = "BridgeError";
  }

  get code(): ErrorCode {
    return this.envelope.error.code;
  }
}

/** Say something in a conversation and follow the turn; throws BridgeError when it is refused at once. */
export async function* turn(
  bridge: Bridge,
  sessionId: string,
  message: string,
  connectionId?: string,
): AsyncGenerator<TurnEvent, void, undefined> {
  const { data, error } = await bridge.POST("/v1/chat/sessions/{session_id}/stream", {
    params: { path: { session_id: sessionId } },
    body: connectionId === undefined ? { message } : { message, connection_id: connectionId },
    parseAs: "stream",
  });
  if (error !== undefined) throw new BridgeError(error);
  if (data) yield* events(data);
}
