/** `/catalog`: what a connection holds: datasets, tables, columns; searched by name and description. */
import { get } from "./api.js";
import { context } from "./context.js";
import { failure, fill, h } from "./dom.js";
import { bytes } from "./format.js";

export async function render(main) {
  if (!context.team) { location.href = "/"; return; }
  const wanted = new URLSearchParams(location.search).get("connection_id");
  const { connections } = await get(`/v1/onboarding/connections?team_id=${context.team.id}&limit=200`);
  const content = h("div", { class: "stack" });
  if (connections.length === 0) { fill(main, h("div", { class: "empty" }, h("h2", {}, "Nothing to browse yet"), h("a", { class: "button primary", href: "/connections" }, "Add a connection"))); return; }
  const choice = h("select", { "aria-label": "Connection", onchange: () => show() }, connections.map(({ id, name }) => h("option", { value: id, selected: id === wanted }, name)));
  const search = h("input", { type: "search", placeholder: "Search tables and columns", "aria-label": "Search tables and columns" });
  fill(main, h("div", { class: "page-head" }, h("h1", { class: "grow" }, "Catalog"), connections.length > 1 ? choice : null, search), content);

  const show = async () => {
    try {
      const { datasets } = await get(`/v1/onboarding/catalog/datasets?connection_id=${choice.value}&limit=500`);
      if (datasets.length === 0) { fill(content, h("div", { class: "empty" }, h("h2", {}, "Not scanned yet"), h("a", { class: "button primary", href: "/connections" }, "Scan the catalog"))); return; }
      fill(content, datasets.map((dataset) => dataset_(dataset, datasets.length === 1)));
    } catch (error) { fill(content, failure(error, show)); }
  };
  let timer, latest = 0;
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const q = search.value.trim(), turn = ++latest;
      if (!q) { await show(); return; }
      try {
        const answer = await get(`/v1/onboarding/catalog/search?team_id=${context.team.id}&q=${encodeURIComponent(q)}`);
        if (turn === latest) fill(content, results(answer.results ?? answer.hits ?? []));
      } catch (error) { if (turn === latest) fill(content, failure(error)); }
    }, 200);
  });
  await show();
}

function results(hits) {
  if (hits.length === 0) return h("p", { class: "muted" }, "Nothing matches.");
  return h("div", { class: "card" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, ["Table", "Column", "Description"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, hits.map((hit) => h("tr", {}, h("td", {}, hit.fully_qualified_name ?? hit.table), h("td", {}, hit.column ?? (hit.columns ?? []).map((column) => column.path ?? column).join(", ")), h("td", { class: "muted" }, hit.description ?? ""))))));
}

function dataset_(dataset, open) {
  const tables = h("div", { class: "stack" });
  let loaded = false;
  const load = async () => {
    if (loaded) return;
    loaded = true;
    try {
      const answer = await get(`/v1/onboarding/catalog/datasets/${dataset.id}/tables?limit=1000`);
      fill(tables, answer.tables.map(table_));
    } catch (error) { loaded = false; fill(tables, failure(error, load)); }
  };
  const element = h("details", { class: "card stack", open, ontoggle: (event) => { if (event.target.open) load(); } },
    h("summary", {}, h("strong", {}, dataset.fully_qualified_name.split(".").at(-1)), h("span", { class: "small muted" }, ` ${dataset.location ?? ""}`), dataset.description ? h("div", { class: "small muted" }, dataset.description) : null), tables);
  if (open) load();
  return element;
}

function table_(table) {
  const columns = h("div");
  const load = async (event) => {
    if (!event.target.open || columns.childElementCount) return;
    try {
      const answer = await get(`/v1/onboarding/catalog/tables/${table.id}/schema`);
      fill(columns, h("div", { class: "scroll inset" }, h("table", { class: "data" }, h("thead", {}, h("tr", {}, ["Column", "Type", "Description"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, answer.columns.map((column) => h("tr", {}, h("td", {}, h("code", {}, column.name ?? column.path)), h("td", { class: "nowrap" }, `${column.type ?? column.data_type}${column.mode === "REPEATED" ? "[]" : ""}`), h("td", { class: "muted" }, column.description ?? "")))))));
    } catch (error) { fill(columns, failure(error)); }
  };
  const facts = [table.table_type?.toLowerCase(), table.row_count === null ? null : `${table.row_count?.toLocaleString()} rows`, table.size_bytes === null ? null : bytes(table.size_bytes), table.partitioning ? `partitioned by ${table.partitioning.column}` : null].filter(Boolean).join(" · ");
  return h("details", { class: "table", ontoggle: load }, h("summary", {}, h("span", {}, table.fully_qualified_name.split(".").at(-1)), h("span", { class: "small muted" }, ` ${facts}`), table.description ? h("div", { class: "small muted" }, table.description) : null), columns);
}
