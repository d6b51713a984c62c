/** `/chat`: say what you want to know; watch the tools; the dashboard grows at the side. */
import { ApiError, get, post, stream } from "./api.js";
import { context } from "./context.js";
import { announce, failure, fill, h, prose } from "./dom.js";
import { bytes, duration, money } from "./format.js";

const DEFAULT_CAP = 100_000_000;
const NAMES = {
  list_datasets: "List datasets", list_tables: "List tables", get_table_schema: "Read a table's schema", search_catalog: "Search the catalog",
  profile_column: "Profile a column", run_dry_run_query: "Dry-run a query", preview_query: "Preview rows", validate_dashboard_yaml: "Validate the dashboard",
  save_dashboard_yaml: "Save the dashboard", list_dashboards: "List dashboards", get_dashboard: "Open a dashboard", ask_user: "Ask you", decline: "Decline",
};

export async function render(main, { session }) {
  if (!context.team) { location.href = "/"; return; }
  main.classList.add("wide");
  const { connections } = await get(`/v1/onboarding/connections?team_id=${context.team.id}&limit=100`);
  const usable = connections.filter((connection) => connection.status === "validated");
  const view = new Conversation(main, usable, session ?? null);
  await view.start();
}

class Conversation {
  constructor(main, connections, session) {
    Object.assign(this, { connections, session, running: null, recall: [], turnId: null, lastEventId: null });
    this.log = h("div", { class: "log", role: "log", "aria-label": "Conversation" });
    this.preview = h("section", { class: "preview", "aria-label": "Dashboard preview" });
    this.cost = h("span", {}, "");
    this.input = h("textarea", { rows: 1, placeholder: "What do you want to know?", "aria-label": "Your message", onkeydown: (event) => this.key(event), oninput: () => this.grow() });
    this.send = h("button", { class: "primary", onclick: () => (this.running ? this.stop() : this.say()) }, "Send");
    this.connection = connections.length > 1
      ? h("select", { "aria-label": "Connection" }, connections.map((connection) => h("option", { value: connection.id }, connection.name)))
      : null;
    this.suggestions = h("div", { class: "suggestions" });
    fill(main, h("div", { class: "chat" },
      h("section", { class: "conversation", "aria-label": "Chat" }, this.log,
        h("div", { class: "composer" }, this.suggestions, h("div", { class: "box" }, this.input, this.send),
          h("div", { class: "foot" }, h("span", {}, "Enter sends · Shift-Enter breaks · Esc stops"), h("span", { class: "row" }, this.connection, this.cost)))),
      this.preview));
    this.blank();
  }

  async start() {
    if (this.connections.length === 0) {
      fill(this.log, h("div", { class: "empty" }, h("h2", {}, "No validated connection"), h("p", {}, "Connect a warehouse first; its catalog is what the questions are answered from."), h("a", { class: "button primary", href: "/connections" }, "Add a connection")));
      this.input.disabled = this.send.disabled = true;
      return;
    }
    if (this.session) await this.history();
    else {
      this.welcome = h("div", { class: "empty" }, h("h2", {}, "What do you want to know?"), h("p", {}, "Describe it in a sentence. The tables are found, the queries dry-run under a cap, and the dashboard is made for you."));
      fill(this.log, this.welcome);
      await this.suggest();
    }
    this.input.focus();
  }

  blank() {
    fill(this.preview, h("div", { class: "empty" }, h("h2", {}, "Your dashboard appears here"), h("p", {}, "Every query is dry-run under a byte cap before it is saved.")));
  }

  async suggest() {
    try {
      const { suggestions } = await get(`/v1/chat/suggestions?connection_id=${this.connectionId()}`);
      if (this.recall.length) return;
      fill(this.suggestions, suggestions.slice(0, 4).map((text) => h("button", { onclick: () => { this.input.value = text; this.say(); } }, text)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  async history() {
    const { messages } = await get(`/v1/chat/sessions/${this.session}/messages?limit=200`);
    for (const message of [...messages].reverse()) {
      const text = typeof message.content === "string" ? message.content : (message.blocks ?? message.content ?? []).map((block) => block.text ?? "").join("");
      if (!text.trim()) continue;
      this.bubble(message.role === "user" ? "user" : "agent", text);
      if (message.role === "user") this.recall.push(text);
    }
    try {
      const manifest = await get(`/v1/chat/sessions/${this.session}`);
      this.total(manifest.total_tokens, manifest.total_cost_usd);
      if (manifest.dashboard_slug) await this.show(manifest.dashboard_slug);
    } catch (error) { if (!(error instanceof ApiError)) throw error; }
  }

  connectionId() { return this.connection?.value ?? this.connections[0].id; }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); if (!this.running) this.say(); }
    else if (event.key === "Escape" && this.running) this.stop();
    else if (event.key === "ArrowUp" && this.input.value === "" && this.recall.length) { event.preventDefault(); this.input.value = this.recall.at(-1); this.grow(); }
  }

  grow() { this.input.style.height = "auto"; this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 160)}px`; }

  bubble(who, text = "") {
    const element = h("div", { class: `said ${who}` });
    if (who === "user") element.textContent = text; else fill(element, prose(text));
    this.log.append(element);
    this.follow();
    return element;
  }

  follow() { const log = this.log; if (log.scrollHeight - log.scrollTop - log.clientHeight < 160) log.scrollTop = log.scrollHeight; }

  async say() {
    const message = this.input.value.trim();
    if (!message) return;
    this.input.value = "";
    this.grow();
    this.welcome?.remove();
    fill(this.suggestions);
    this.recall.push(message);
    this.bubble("user", message);
    this.log.scrollTop = this.log.scrollHeight;
    await this.turn(message, crypto.randomUUID());
  }

  async turn(message, key) {
    this.running = new AbortController();
    this.send.textContent = "Stop";
    this.text = null; this.tools = new Map(); this.group = null; this.turnId = null; this.lastEventId = null; this.ended = false;
    this.waiting = h("div", { class: "said agent muted" }, "Thinking …");
    this.log.append(this.waiting);
    try {
      if (!this.session) {
        const made = await post("/v1/chat/sessions", { team_id: context.team.id }, { headers: { "Idempotency-Key": `${key}-s` } });
        this.session = made.session_id;
        history.replaceState(null, "", `/chat/${this.session}`);
      }
      await stream("POST", `/v1/chat/sessions/${this.session}/stream`, {
        body: { message, connection_id: this.connectionId() }, headers: { "Idempotency-Key": key }, signal: this.running.signal, on: (...event) => this.on(...event) });
      for (let attempt = 0; !this.ended && this.turnId && attempt < 30; attempt += 1) await this.comeBack(attempt);
      if (!this.ended) throw new Error("The connection ended before the answer did. Reload the page to see what was kept.");
    } catch (error) {
      if (error.name !== "AbortError" && this.turnId && !this.ended) {
        try { for (let attempt = 0; !this.ended && attempt < 30; attempt += 1) await this.comeBack(attempt); }
        catch (again) { this.failed(again, message, key); }
      } else if (error.name !== "AbortError") this.failed(error, message, key);
    } finally {
      this.waiting?.remove();
      this.pause?.remove(); this.pause = null;
      this.running = null;
      this.send.textContent = "Send";
      this.input.focus();
    }
  }

  /** The stream broke: ask for what was missed, without a second answer being made. */
  async comeBack(attempt) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 1.5 ** attempt, 5000)));
    try {
      this.lastEventId = await stream("GET", `/v1/chat/sessions/${this.session}/turns/${this.turnId}/events`, { lastEventId: this.lastEventId, signal: this.running.signal, on: (...event) => this.on(...event) });
    } catch (error) { if (error.name === "AbortError" || (error.status >= 400 && error.status < 500)) throw error; }
  }

  failed(error, message, key) {
    const box = failure(error, () => { box.remove(); this.turn(message, error.retryable ? key : crypto.randomUUID()); });
    this.log.append(box);
    this.follow();
  }

  async stop() {
    try { await post(`/v1/chat/sessions/${this.session}/cancel`); }
    catch (error) { if (error.status !== 404 && error.status !== 409) this.log.append(failure(error)); }
  }

  on(event, data, id) {
    if (id) this.lastEventId = id;
    const handler = this[`on_${event}`];
    if (!handler) return;
    if (event !== "turn_started") { this.waiting?.remove(); this.waiting = null; }
    // Something comes again: the pause is over, and nothing has failed.
    if (event !== "interrupted") { this.pause?.remove(); this.pause = null; }
    handler.call(this, data);
    this.follow();
  }

  on_turn_started({ turn_id: turn }) { this.turnId = turn; }

  on_token({ text }) {
    if (!this.text) { this.text = { raw: "", element: this.bubble("agent") }; this.group = null; }
    this.text.raw += text;
    fill(this.text.element, prose(this.text.raw));
  }

  on_tool_call({ id, tool, args }) {
    this.text = null;
    if (!this.group) { this.group = h("div", { class: "tools" }); this.log.append(this.group); }
    const line = {
      mark: h("span", { class: "mark", "aria-hidden": "true" }, "●"), what: h("span", { class: "what" }, brief(tool, args)), time: h("span", { class: "nowrap small" }, ""),
      detail: h("div", {}, h("pre", {}, show(args))), tool, args,
    };
    line.element = h("details", { class: "tool running" }, h("summary", {}, line.mark, h("span", { class: "name" }, NAMES[tool] ?? tool), line.what, line.time), line.detail);
    this.tools.set(id, line);
    this.group.append(line.element);
  }

  on_tool_result({ id, result, error, cached, duration_ms: took }) {
    const line = this.tools.get(id);
    if (!line) return;
    line.element.classList.remove("running");
    const refused = error ?? (result?.valid === false ? result.error ?? "refused" : null);
    line.element.classList.toggle("failed", Boolean(refused));
    line.mark.textContent = refused ? "!" : "✓";
    line.what.textContent = refused ? text(refused) : outcome(line.tool, line.args, result);
    line.time.textContent = cached ? "cached" : took === undefined ? "" : duration(took);
    if (line.tool === "run_dry_run_query" && result?.bytes_scanned !== undefined) line.detail.prepend(gauge(result));
    line.detail.append(h("pre", {}, show(error ?? result)));
  }

  on_question({ question, options = [], replaces = null }) {
    // The product asks this one, not the agent: nobody else has said it.
    if (replaces) this.log.append(h("div", { class: "note warning" }, question));
    if (options.length) this.log.append(h("div", { class: "options" }, options.map((option) => h("button", { onclick: () => { this.input.value = option.label ?? option; this.say(); } }, option.label ?? option))));
  }

  on_cost_update({ tokens, cost_usd: cost }) { this.total(tokens, cost); }
  on_warning({ code, message }) {
    // What the agent declines it also says; a take-over after a crash says again what follows.
    if (code?.startsWith("DECLINED_")) return;
    if (code === "TURN_RESUMED") { this.text?.element.remove(); this.text = null; }
    this.log.append(h("div", { class: "note warning small" }, message));
  }
  on_interrupted({ message }) {
    if (!this.pause) { this.pause = h("div", { class: "muted small", role: "status" }); this.log.append(this.pause); }
    this.pause.textContent = message;
  }
  on_error({ message, code, retryable }) { this.log.append(failure({ message, code, retryable })); }
  on_dashboard_created({ slug }) { announce("The dashboard is ready."); this.show(slug); }

  on_complete({ total_tokens: tokens, total_cost_usd: cost, state }) {
    this.ended = true;
    if (tokens !== undefined) this.total(tokens, cost);
    if (state === "cancelled") this.log.append(h("div", { class: "muted small" }, "Stopped."));
  }

  total(tokens, cost) { this.cost.textContent = tokens ? `${tokens.toLocaleString()} tokens · ${money(cost)}` : money(cost ?? 0); }

  async show(slug) {
    const { mount } = await import("./dashboard.js");
    fill(this.preview);
    try { await mount(this.preview, slug, { team: context.team.id, embedded: true }); }
    catch (error) { fill(this.preview, failure(error, () => this.show(slug))); }
  }
}

function brief(tool, args = {}) {
  return args.query ?? args.q ?? args.table ?? args.table_id ?? args.column ?? args.question ?? args.purpose ?? args.reason ?? (args.sql ? args.sql.replace(/\s+/g, " ").slice(0, 90) : "");
}

function outcome(tool, args, result) {
  if (!result || typeof result !== "object") return brief(tool, args);
  if (tool === "run_dry_run_query" && result.bytes_scanned !== undefined) return `${bytes(result.bytes_scanned)} of ${bytes(result.cap_bytes ?? DEFAULT_CAP)} allowed`;
  if (Array.isArray(result.rows)) return `${result.rows.length} row${result.rows.length === 1 ? "" : "s"}`;
  for (const [name, word] of [["tables", "tables"], ["datasets", "datasets"], ["columns", "columns"], ["hits", "matches"], ["results", "matches"], ["dashboards", "dashboards"]])
    if (Array.isArray(result[name])) return `${brief(tool, args)} ${result[name].length} ${word}`.trim();
  if (result.valid === true) return "no errors";
  if (result.slug) return `/dash/${result.slug}`;
  return brief(tool, args);
}

function gauge(result) {
  const cap = result.cap_bytes ?? DEFAULT_CAP;
  const share = Math.min(result.bytes_scanned / cap, 1);
  const fillBar = h("i");
  fillBar.style.width = `${Math.max(share * 100, 1)}%`;
  const cost = result.estimated_cost_usd === undefined || result.estimated_cost_usd === null ? "" : `, about ${money(result.estimated_cost_usd)}`;
  return h("div", { class: "small muted" }, h("div", { class: result.bytes_scanned >= cap ? "gauge over" : "gauge", role: "img", "aria-label": `${Math.round(share * 100)} percent of the byte cap` }, fillBar), `${bytes(result.bytes_scanned)} of the ${bytes(cap)} cap${cost}`);
}

const text = (problem) => (typeof problem === "string" ? problem : problem.message ?? JSON.stringify(problem));
const show = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
