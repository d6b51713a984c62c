/** One tile: its frame, and what it shows in each state (loading, data, nothing, failed). */
import { get } from "./api.js";
import { draw, records } from "./charts.js";
import { dialog, failure, fill, h, prose } from "./dom.js";
import { ago, bytes, duration, value } from "./format.js";
import { csv, table } from "./table.js";

export class Tile {
  constructor(tile, page) {
    Object.assign(this, { tile, page, asTable: false, remove: null, drawing: 0 });
    const { x, y, w, h: height } = tile.position;
    this.body = h("div", { class: "body" });
    const frame = tile.type === "section" ? "tile section" : `tile card${tile.type === "kpi" ? " kpi-tile" : ""}${tile.type === "text" ? " prose" : ""}${tile.color && tile.color !== "neutral" ? ` tone-${tile.color}` : ""}`;
    this.element = h("section", { class: frame, "aria-label": tile.title ?? tile.type, tabindex: tile.query ? "0" : null, onkeydown: (event) => this.key(event) },
      tile.title || tile.query ? h("header", {}, h("div", { class: "grow" }, h("h3", {}, tile.title), tile.subtitle ? h("div", { class: "subtitle" }, tile.subtitle) : null), tile.query ? this.menu() : null) : null,
      this.body);
    this.element.style.gridColumn = `${x + 1} / span ${w}`;
    this.element.style.gridRow = `${y + 1} / span ${height}`;
    if (tile.type === "text") fill(this.body, prose(tile.text?.markdown ?? ""));
    else if (tile.query) this.skeleton();
  }

  menu() {
    const buttons = [];
    if (this.tile.type === "chart") buttons.push(h("button", { class: "quiet icon", title: "Chart or table (T)", "aria-label": "Show as a table", onclick: () => this.flip() }, "▤"));
    buttons.push(h("button", { class: "quiet icon", title: "Full screen (F)", "aria-label": "Full screen", onclick: () => this.element.requestFullscreen?.() }, "⤢"));
    buttons.push(h("button", { class: "quiet icon", title: "What is this? (?)", "aria-label": "What is this", onclick: () => this.explain() }, "?"));
    return h("div", { class: "menu row nowrap" }, buttons);
  }

  key(event) {
    if (event.target !== this.element) return;
    if (event.key === "t" && this.tile.type === "chart") this.flip();
    else if (event.key === "f") this.element.requestFullscreen?.();
    else if (event.key === "?") this.explain();
  }

  flip() { this.asTable = !this.asTable; if (this.all) this.show(this.all); }

  skeleton() { fill(this.body, h("div", { class: "skeleton grow" })); this.body.firstChild.style.minHeight = this.tile.type === "kpi" ? "34px" : "120px"; }

  /** Show the tile's part of the dashboard's data. */
  show(all) {
    this.all = all;
    if (!this.tile.query) return;
    const data = all.queries[this.tile.query];
    this.remove?.();
    this.remove = null;
    this.drawing += 1;
    this.element.classList.toggle("stale", Boolean(data?.metadata?.stale));
    if (!data) { fill(this.body, h("p", { class: "muted" }, "This tile's query is missing.")); return; }
    if (data.error) { fill(this.body, failure(data.error, () => this.page.refresh())); return; }
    if (data.rows.length === 0 && this.tile.type !== "kpi") { fill(this.body, h("p", { class: "muted" }, "No rows for these filters.")); return; }
    if (this.tile.type === "kpi") this.kpi(data);
    else if (this.tile.type === "table" || this.asTable) fill(this.body, table(data, this.tile.table ?? {}, this.page), this.cut(data));
    else this.chart(data);
  }

  cut({ metadata }) {
    const warnings = [...(metadata?.warnings ?? [])].map((warning) => warning.message ?? warning);
    if (metadata?.truncated && warnings.length === 0) warnings.push("Only the first rows are shown.");
    return warnings.length ? h("p", { class: "small muted" }, warnings.join(" ")) : null;
  }

  async chart(data) {
    const place = h("div", { class: "chart", role: "img", "aria-label": `${this.tile.title ?? "Chart"}. Press T for the table.` });
    fill(this.body, place, this.cut(data));
    const mine = this.drawing;
    try {
      const remove = await draw(place, this.tile.chart, data, this.page.chartConfig);
      if (mine === this.drawing) this.remove = remove; else remove();
    } catch (error) { if (mine === this.drawing) fill(this.body, failure(error, () => this.show(this.all))); }
  }

  kpi(data) {
    const { kpi } = this.tile;
    const [row] = records(data);
    const type = data.columns.find(({ name }) => name === kpi.value)?.type;
    const figure = row?.[kpi.value] ?? null;
    const delta = this.delta(kpi, row, figure);
    const spark = kpi.sparkline && this.all.queries[kpi.sparkline.query]?.rows.length > 1 ? h("div", { class: "spark", "aria-hidden": "true" }) : null;
    fill(this.body, h("div", { class: "kpi grow" }, h("div", { class: "figure" }, short(figure, kpi.format, { currency: this.page.currency, type }), kpi.unit ? h("span", { class: "unit" }, kpi.unit) : null), delta, spark));
    if (spark) draw(spark, { spec: kpi.sparkline.spec }, this.all.queries[kpi.sparkline.query], this.page.chartConfig).then((remove) => { this.remove = remove; }, () => spark.remove());
  }

  delta({ compare, good_direction: direction, format }, row, figure) {
    if (!compare || figure === null) return null;
    let before = null;
    if (compare.kind === "target") before = compare.value;
    else if (compare.kind === "column") before = row?.[compare.column] ?? null;
    else {
      const other = this.all.queries[compare.query];
      if (other && !other.error && other.rows.length) before = records(other)[0][compare.column];
    }
    if (before === null || before === undefined || Number(before) === 0) return null;
    const change = (figure - before) / Math.abs(before);
    const better = direction === "up" ? change > 0 : direction === "down" ? change < 0 : null;
    const tone = Math.abs(change) < 0.0005 || better === null ? "" : better ? "good" : "bad";
    const arrow = Math.abs(change) < 0.0005 ? "=" : change > 0 ? "▲" : "▼";
    return h("div", { class: `delta ${tone}`, title: `before: ${value(before, format, { currency: this.page.currency })}` }, `${arrow} ${value(Math.abs(change), "percent")} ${compare.label ?? ""}`);
  }

  async explain() {
    const data = this.all?.queries[this.tile.query];
    const box = dialog(this.tile.title ?? "This tile",
      this.tile.subtitle ? h("p", { class: "muted" }, this.tile.subtitle) : null,
      data ? h("dl", { class: "facts" },
        fact("Rows", data.metadata.row_count?.toLocaleString()), fact("Scanned", bytes(data.metadata.bytes_scanned)), fact("Query time", duration(data.metadata.duration_ms ?? 0)),
        fact("Run", `${ago(data.metadata.executed_at)}${data.metadata.cached ? ", from the cache" : ""}`)) : null,
      h("div", { class: "sql" }),
      data && !data.error ? h("div", { class: "row" }, h("button", { onclick: () => this.download(data) }, "Download CSV")) : null);
    try {
      const plan = await get(this.page.address("plan"));
      const query = plan.queries.find(({ id }) => id === this.tile.query);
      if (query) fill(box.querySelector(".sql"), h("dl", { class: "facts" }, fact("Tables", query.tables.join(", ")), fact("Byte cap", bytes(query.max_bytes))), h("pre", { tabindex: "0" }, query.sql));
    } catch (error) { fill(box.querySelector(".sql"), failure(error)); }
  }

  download(data) {
    const address = URL.createObjectURL(new Blob([csv(data)], { type: "text/csv;charset=utf-8" }));
    const link = h("a", { href: address, download: `${this.page.slug}-${this.tile.id}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }
}

const fact = (name, text) => [h("dt", {}, name), h("dd", {}, text || "–")];

/** A figure at a glance: large counts in short form, the rest as formatted. */
function short(figure, format, options) {
  if (figure !== null && (!format || format === "auto") && Math.abs(figure) >= 100_000) return value(figure, "short", options);
  return value(figure, format, options);
}
