/** `/`: sign in, then the team's dashboards. */
import { get, post } from "./api.js";
import { context } from "./context.js";
import { failure, fill, h } from "./dom.js";
import { ago } from "./format.js";

export function signIn(main) {
  document.title = "Sign in · Bridge";
  const problem = h("div", { hidden: true });
  const email = h("input", { type: "email", name: "email", required: true, autocomplete: "email", autofocus: true, value: "demo@bridge.local" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("/v1/auth/dev/login", { email: email.value.trim().toLowerCase() });
      location.reload();
    } catch (error) {
      problem.hidden = false;
      fill(problem, failure(error.status === 404 ? { message: "Development sign-in is off here. Use your organisation's sign-in." } : error));
    }
  };
  fill(main, h("form", { class: "card signin", onsubmit: submit },
    h("h1", {}, "Sign in to Bridge"),
    h("p", { class: "muted" }, "This machine accepts any address without a password. The demo data belongs to demo@bridge.local."),
    h("label", {}, "E-mail", email), problem,
    h("button", { class: "primary", type: "submit" }, "Sign in")));
}

export async function render(main) {
  if (!context.team) return firstTeam(main);
  const list = h("div", { class: "cards" }, Array.from({ length: 3 }, () => h("div", { class: "card skeleton", style: null }, h("div", { class: "thumb" }))));
  const search = h("input", { type: "search", placeholder: "Search dashboards", "aria-label": "Search dashboards" });
  const newest = h("a", { class: "button primary", href: "/chat" }, "New by chat");
  fill(main, h("div", { class: "page-head" }, h("div", { class: "grow" }, h("h1", {}, "Dashboards"), h("p", { class: "muted" }, context.team.name)), search, newest), list);

  let latest = 0;
  const load = async () => {
    const turn = ++latest;
    try {
      const query = new URLSearchParams({ team_id: context.team.id, limit: "60", ...(search.value.trim() ? { q: search.value.trim() } : {}) });
      const { dashboards, has_more: more } = await get(`/v1/dashboards?${query}`);
      if (turn !== latest) return;
      if (dashboards.length === 0) { fill(list, empty(search.value.trim())); return; }
      fill(list, dashboards.map(card), more ? h("p", { class: "muted" }, "There are more: narrow the search.") : null);
    } catch (error) { fill(list, failure(error, load)); }
  };
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(load, 180); });
  await load();
}

function card(dashboard) {
  const { slug, title, description, tags = [], updated_at: updated, status } = dashboard;
  const href = `/dash/${slug}`;
  return h("a", { class: "card", href },
    h("h2", {}, title || slug),
    description ? h("p", { class: "muted small" }, description) : null,
    h("div", { class: "row small muted" }, status === "invalid" ? h("span", { class: "badge error" }, "needs repair") : null, tags.slice(0, 3).map((tag) => h("span", {}, tag)), updated ? h("span", {}, `changed ${ago(updated)}`) : null));
}

function empty(query) {
  if (query) return h("div", { class: "empty" }, h("p", {}, `No dashboard matches “${query}”.`));
  return h("div", { class: "empty" }, h("h2", {}, "No dashboards yet"), h("p", {}, "Describe what you want to know; the first one takes a few seconds."), h("a", { class: "button primary", href: "/chat" }, "Describe a goal"));
}

function firstTeam(main) {
  const name = h("input", { required: true, maxlength: 120, placeholder: "Acme analytics" });
  const problem = h("div");
  const create = async (event) => {
    event.preventDefault();
    try {
      await post("/v1/onboarding/teams", { name: name.value.trim() });
      location.href = "/connections";
    } catch (error) { fill(problem, failure(error)); }
  };
  fill(main, h("form", { class: "card signin", onsubmit: create }, h("h1", {}, "Name your team"), h("p", { class: "muted" }, "A team shares connections and dashboards."), h("label", {}, "Team", name), problem, h("button", { class: "primary" }, "Create the team")));
}
