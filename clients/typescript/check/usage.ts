/** Calls that must compile, and calls that must not: the types are the test. */

import { connect, turn, type ErrorCode } from "../src/index.ts";

const bridge = connect({ baseUrl: "http://127.0.0.1:8080", token: "brg_x" });

export async function readsADashboard(): Promise<string> {
  const { data, error } = await bridge.GET("/v1/dashboards/{slug}", { params: { path: { slug: "flights" } } });
  if (error !== undefined) {
    const code: ErrorCode = error.error.code;
    return code;
  }
  return data.title;
}

export async function savesADashboard(teamId: string, text: string): Promise<number | undefined> {
  const { data } = await bridge.POST("/v1/dashboards", {
    params: { header: { "Idempotency-Key": "one" } },
    body: { team_id: teamId, yaml_content: text },
  });
  return data?.version;
}

export async function follows(session: string): Promise<string> {
  let text = "";
  for await (const event of turn(bridge, session, "Show monthly flights")) {
    if (event.event === "token") text += event.data.text;
    if (event.event === "complete" && event.data.state === "failed") return event.data.turn_id;
  }
  return text;
}

export async function whatMustNotCompile(): Promise<void> {
  // @ts-expect-error: there is no such path
  await bridge.GET("/v1/nothing");
  // @ts-expect-error: the slug is missing
  await bridge.GET("/v1/dashboards/{slug}", {});
  // @ts-expect-error: the name of a team is text
  await bridge.POST("/v1/onboarding/teams", { body: { name: 3 } });
  // @ts-expect-error: a team has a name
  await bridge.POST("/v1/onboarding/teams", { body: {} });
  // @ts-expect-error: a path takes only its own methods
  await bridge.PUT("/v1/onboarding/teams", { body: { name: "Flights" } });
  const { data } = await bridge.GET("/v1/auth/me");
  // @ts-expect-error: the answer has no such member
  data?.password;
  // @ts-expect-error: no function answers with this code
  const code: ErrorCode = "NO_SUCH_CODE";
  void code;
}
