/** The shell: who is signed in, the bar, and the page that belongs to the address. */
import { get, post } from "./api.js";
import { context } from "./context.js";
import { fill, failure, h } from "./dom.js";
import * as theme from "./theme.js";

const PAGES = [
  { pattern: /^\/$/, name: "Dashboards", load: () => import("./home.js") },
  { pattern: /^\/chat(?:\/(?<session>[0-9a-f-]{36}))?$/, name: "Chat", load: () => import("./chat.js") },
  { pattern: /^\/dash\/(?<slug>[a-z0-9-]+)$/, name: "Dashboards", load: () => import("./dashboard.js") },
  { pattern: /^\/connections$/, name: "Connections", load: () => import("./connections.js") },
  { pattern: /^\/catalog$/, name: "Catalog", load: () => import("./catalog.js") },
];
const LINKS = [["Dashboards", "/"], ["Chat", "/chat"], ["Connections", "/connections"], ["Catalog", "/catalog"]];
const TEAM = "bridge-team";

function bar(page) {
  const { me } = context;
  const teams = me?.teams ?? [];
  fill(document.getElementById("bar"),
    h("a", { class: "brand", href: "/" }, h("img", { src: "/assets/icon.svg", alt: "" }), "Bridge"),
    h("nav", { "aria-label": "Main" }, me ? LINKS.map(([name, href]) => h("a", { href, "aria-current": page?.name === name ? "page" : null }, name)) : null),
    teams.length > 1
      ? h("select", { "aria-label": "Team", onchange: (event) => { localStorage.setItem(TEAM, event.target.value); location.reload(); } },
          teams.map((team) => h("option", { value: team.id, selected: team.id === context.team?.id }, team.name)))
      : null,
    me ? h("span", { class: "who" }, me.user.email) : null,
    h("button", { class: "quiet icon", "aria-label": "Switch between light and dark", title: "Light or dark", onclick: theme.toggle }, "◐"),
    me ? h("button", { class: "quiet", onclick: signOut }, "Sign out") : null);
}

async function signOut() {
  await post("/v1/auth/logout");
  location.href = "/";
}

async function show() {
  const main = document.getElementById("main");
  const match = PAGES.map((page) => ({ page, found: page.pattern.exec(location.pathname) })).find(({ found }) => found);
  bar(match?.page);
  try {
    context.me = await get("/v1/auth/me");
  } catch (error) {
    if (error.status !== 401) { fill(main, failure(error, () => location.reload())); return; }
    const { signIn } = await import("./home.js");
    signIn(main);
    main.removeAttribute("aria-busy");
    return;
  }
  context.team = context.me.teams.find((team) => team.id === localStorage.getItem(TEAM)) ?? context.me.teams[0] ?? null;
  bar(match?.page);
  if (!match) {
    fill(main, h("div", { class: "empty" }, h("h1", {}, "There is nothing at this address"), h("a", { class: "button", href: "/" }, "To the dashboards")));
  } else {
    document.title = `${match.page.name} · Bridge`;
    const page = await match.page.load();
    await page.render(main, match.found.groups ?? {});
  }
  main.removeAttribute("aria-busy");
}

theme.start();
show().catch((error) => fill(document.getElementById("main"), failure(error, () => location.reload())));
