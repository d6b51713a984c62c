/** `/dash/{slug}`: the dashboard with its live, cached data. The filters' state is in the address. */
import { get, remove } from "./api.js";
import { context } from "./context.js";
import { announce, dialog, failure, fill, h } from "./dom.js";
import { ago } from "./format.js";
import { Tile } from "./tiles.js";

export async function render(main, { slug }) {
  await mount(main, slug, { team: new URLSearchParams(location.search).get("team_id") });
}

/** Show a dashboard in an element: the page itself, or the preview beside a chat. */
export async function mount(element, slug, { team = null, embedded = false } = {}) {
  const page = new Page(element, slug, team, embedded);
  await page.open();
  return page;
}

class Page {
  constructor(element, slug, team, embedded) {
    Object.assign(this, { element, slug, team, embedded, latest: 0, values: new URLSearchParams(embedded ? "" : location.search) });
    this.values.delete("team_id");
    document.addEventListener("bridge:theme", () => { if (element.isConnected && this.data) this.showData(); });
    if (!embedded) addEventListener("popstate", () => { this.values = new URLSearchParams(location.search); this.values.delete("team_id"); this.drawFilters(); this.refresh(); });
  }

  address(what = "", extra = new URLSearchParams()) {
    const query = new URLSearchParams(extra);
    if (this.team) query.set("team_id", this.team);
    const text = query.toString();
    return `/v1/dashboards/${this.slug}${what ? `/${what}` : ""}${text ? `?${text}` : ""}`;
  }

  async open() {
    fill(this.element, h("div", { class: "skeleton" }));
    this.element.firstChild.style.height = "180px";
    // The shell's description and the data do not wait for each other.
    const loading = this.load();
    loading.catch(() => {});
    try { this.dashboard = await get(this.address()); }
    catch (error) {
      if (error.code === "AMBIGUOUS_SLUG") return this.choose(error);
      fill(this.element, error.status === 404 ? missing(this.slug) : failure(error, () => this.open()));
      return;
    }
    this.chartConfig = this.dashboard.chart_config;
    this.currency = this.dashboard.currency;
    if (!this.embedded) document.title = `${this.dashboard.title} · Bridge`;
    this.frame();
    await this.refresh(loading);
  }

  frame() {
    const { dashboard } = this;
    this.badge = h("span", { class: "badge" }, "loading");
    this.filterBar = h("div", { class: "filters", role: "group", "aria-label": "Filters" });
    const bars = dashboard.tiles.filter(({ type }) => type === "filter_bar");
    this.tiles = dashboard.tiles.filter(({ type }) => type !== "filter_bar").map((tile) => new Tile(closeUp(tile, bars), this));
    const grid = h("div", { class: "grid" }, this.tiles.map(({ element }) => element));
    grid.style.gridAutoRows = `minmax(${dashboard.grid?.row_height ?? 64}px, auto)`;
    fill(this.element,
      h("div", { class: "dash-head" },
        h("div", { class: "grow" }, h("h1", {}, dashboard.title), about(dashboard.description)),
        h("div", { class: "row dash-actions" }, this.badge, this.actions())),
      dashboard.status === "invalid" ? this.broken() : null,
      this.filterBar, grid);
    this.drawFilters();
  }

  actions() {
    if (this.embedded) return h("a", { class: "button", href: `/dash/${this.slug}` }, "Open");
    return [
      h("button", { class: "quiet", onclick: () => this.refresh() }, "Reload"),
      h("button", { class: "quiet", onclick: () => print() }, "Print"),
      h("a", { class: "button quiet", href: this.address("yaml"), target: "_blank", rel: "noopener" }, "YAML"),
      this.dashboard.can_edit ? h("button", { class: "quiet", onclick: () => this.ask() }, "Delete") : null,
    ];
  }

  ask() {
    const box = dialog("Delete this dashboard?", h("p", {}, `“${this.dashboard.title}” and its history leave the team's list.`),
      h("div", { class: "row" }, h("button", { class: "primary", onclick: async () => {
        try { await remove(this.address()); location.href = "/"; } catch (error) { box.append(failure(error)); }
      } }, "Delete"), h("button", { onclick: () => box.close() }, "Keep")));
  }

  broken() {
    return h("div", { class: "note error stack" }, h("strong", {}, "This dashboard's document has errors."),
      h("ul", {}, this.dashboard.errors.map(({ path, line, message, hint }) => h("li", {}, `${path}${line ? ` (line ${line})` : ""}: ${message}${hint ? ` ${hint}` : ""}`))));
  }

  async load() {
    return get(this.address("data", this.values));
  }

  /** Fetch the data for the filters; what is on screen stays until the new rows are there. */
  async refresh(loading = this.load()) {
    const turn = ++this.latest;
    if (this.dashboard.status === "invalid") return;
    try {
      const data = await loading;
      if (turn !== this.latest) return;
      this.data = data;
      this.showData();
      this.drawFilters();
    } catch (error) {
      if (turn !== this.latest) return;
      fill(this.badge, "failed");
      this.badge.className = "badge error";
      const box = failure(error, () => { box.remove(); this.refresh(); });
      this.filterBar.after(box);
    }
  }

  showData() {
    for (const tile of this.tiles) tile.show(this.data);
    // The badge speaks for the oldest part of what is on screen.
    const { stale, loaded_at: loaded } = this.data;
    const parts = Object.values(this.data.queries).map(({ metadata }) => metadata).filter(Boolean);
    const oldest = parts.map(({ executed_at: executed }) => executed).filter(Boolean).sort()[0] ?? loaded;
    const cached = parts.some((part) => part.cached);
    fill(this.badge, stale ? `stale, from ${ago(oldest)}, refreshing` : `${cached ? "cached" : "live"} · ${ago(oldest)}`);
    this.badge.className = `badge ${stale ? "warning" : "success"}`;
    this.badge.title = `version ${this.data.version}, loaded ${new Date(loaded).toLocaleString()}`;
    announce(`${this.dashboard.title} is up to date.`);
  }

  set(name, ...values) {
    this.values.delete(name);
    for (const value of values) this.values.append(name, value);
    if (!this.embedded) {
      const query = new URLSearchParams(this.values);
      if (this.team) query.set("team_id", this.team);
      history.pushState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
    }
    fill(this.badge, "loading");
    this.badge.className = "badge";
    this.refresh();
  }

  drawFilters() {
    if (this.filterBar.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
    fill(this.filterBar, this.dashboard.filters.map((filter) => this.control(filter)),
      this.values.size ? h("button", { class: "quiet", onclick: () => { this.values = new URLSearchParams(); this.set("", ...[]); } }, "Reset") : null);
  }

  control(filter) {
    const applied = this.data?.filters?.[filter.id];
    const label = filter.label ?? filter.id;
    if (filter.type === "date_range") {
      const range = applied ?? (filter.default?.start ? filter.default : {});
      const from = h("input", { type: "date", value: range.start ?? "", "aria-label": `${label}: from` });
      const to = h("input", { type: "date", value: range.end ?? "", "aria-label": `${label}: to` });
      const change = () => { if (!from.value || !to.value || from.value <= to.value) this.set(filter.id, from.value || to.value ? `${from.value}..${to.value}` : ""); };
      for (const input of [from, to]) input.addEventListener("change", () => { input.blur(); change(); });
      return group(label, from, h("span", { class: "muted" }, "to"), to);
    }
    if (filter.type === "select" || filter.type === "multi_select") {
      const options = this.options(filter);
      const chosen = new Set(applied === undefined || applied === null ? [] : [applied].flat().map(String));
      const select = h("select", { multiple: filter.type === "multi_select", size: filter.type === "multi_select" ? 1 : null, onchange: () => { select.blur(); this.set(filter.id, ...([...select.selectedOptions].map((option) => option.value).filter((value, _, all) => value !== "" || all.length === 1))); } },
        h("option", { value: "" }, "All"), options.map(({ value, label: text }) => h("option", { value, selected: chosen.has(String(value)) }, text ?? value)));
      return filter.type === "select" ? h("label", {}, label, select) : this.many(filter, label, options, chosen);
    }
    if (filter.type === "number_range") {
      const range = applied ?? {};
      const low = h("input", { type: "number", value: range.min ?? "", placeholder: "from", "aria-label": `${label}: from` });
      const high = h("input", { type: "number", value: range.max ?? "", placeholder: "to", "aria-label": `${label}: to` });
      for (const input of [low, high]) input.addEventListener("change", () => { input.blur(); this.set(filter.id, low.value || high.value ? `${low.value}..${high.value}` : ""); });
      return group(label, low, h("span", { class: "muted" }, "to"), high);
    }
    if (filter.type === "toggle") return h("label", {}, label, h("input", { type: "checkbox", checked: applied === true, onchange: (event) => this.set(filter.id, event.target.checked ? "true" : "") }));
    const search = h("input", { type: "search", value: applied ?? "", onchange: () => { search.blur(); this.set(filter.id, search.value); } });
    return h("label", {}, label, search);
  }

  /** Several values: a fold-out list of check boxes, so that a choice shows at a glance. */
  many(filter, label, options, chosen) {
    const text = chosen.size === 0 ? "All" : chosen.size === 1 ? options.find(({ value }) => chosen.has(String(value)))?.label ?? [...chosen][0] : `${chosen.size} chosen`;
    const open = () => {
      const boxes = options.map(({ value, label: name }) => h("label", { class: "row" }, h("input", { type: "checkbox", value, checked: chosen.has(String(value)) }), name ?? value));
      const box = dialog(label, h("div", { class: "stack" }, boxes), h("div", { class: "row" },
        h("button", { class: "primary", onclick: () => { const picked = [...box.querySelectorAll("input:checked")].map((input) => input.value); box.close(); this.set(filter.id, ...(picked.length ? picked : [""])); } }, "Apply"),
        h("button", { onclick: () => { box.close(); this.set(filter.id, ""); } }, "All")));
    };
    return group(label, h("button", { onclick: open, "aria-haspopup": "dialog" }, text));
  }

  options(filter) {
    if (filter.options?.length) return filter.options;
    const rows = filter.options_query ? this.data?.queries?.[filter.options_query]?.rows ?? [] : [];
    return rows.map((row) => ({ value: row[0], label: row[1] ?? row[0] }));
  }

  choose(error) {
    const teams = error.details?.teams ?? [];
    fill(this.element, h("div", { class: "empty" }, h("h2", {}, "Several of your teams have this dashboard"),
      teams.map((team) => h("a", { class: "button", href: `/dash/${this.slug}?team_id=${team.id ?? team}` }, context.me.teams.find(({ id }) => id === (team.id ?? team))?.name ?? team.name ?? team))));
  }
}

/** Several controls under one label. */
const group = (label, ...controls) => h("div", { class: "control", role: "group", "aria-label": label }, h("span", { class: "small muted" }, label), h("div", { class: "row" }, controls));

/** The description's first line, and behind a fold what follows: sources, ranges, assumptions. */
function about(description) {
  const [first, ...rest] = (description ?? "").trim().split("\n");
  if (!first) return null;
  return [h("p", { class: "subtitle" }, first), rest.length ? h("details", { class: "about" }, h("summary", {}, "Sources and assumptions"), h("p", {}, rest.join("\n"))) : null];
}

/** The filters stand above the grid, so the rows that a filter bar alone would take are closed. */
function closeUp(tile, bars) {
  const above = bars.filter(({ position }) => position.w === 12 && position.y < tile.position.y).reduce((rows, { position }) => rows + position.h, 0);
  return above ? { ...tile, position: { ...tile.position, y: tile.position.y - above } } : tile;
}

function missing(slug) {
  return h("div", { class: "empty" }, h("h1", {}, "There is no such dashboard"), h("p", {}, `Nothing called “${slug}” is in your teams. It may have been deleted, or the address has a typo.`), h("a", { class: "button", href: "/" }, "All dashboards"));
}


