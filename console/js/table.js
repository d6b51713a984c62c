/** A table of a query's rows: sortable by any column, in pages, with totals and semantic colours. */
import { fill, h } from "./dom.js";
import { isNumeric, isTime, value } from "./format.js";

const TESTS = { lt: (a, b) => a < b, le: (a, b) => a <= b, lte: (a, b) => a <= b, gt: (a, b) => a > b, ge: (a, b) => a >= b, gte: (a, b) => a >= b, eq: (a, b) => a === b, ne: (a, b) => a !== b };

export function table(data, options = {}, { currency } = {}) {
  const index = new Map(data.columns.map(({ name }, position) => [name, position]));
  const columns = (options.columns?.length ? options.columns : data.columns.map(({ name, type }) => ({ field: name, title: name.replaceAll("_", " "), type })))
    .filter(({ field }) => index.has(field))
    .map((column) => ({ ...column, type: column.type ?? data.columns[index.get(column.field)].type }));
  const size = options.page_size ?? 50;
  let order = (options.sort ?? []).map(({ column, descending }) => ({ column, descending }));
  let page = 0;
  const box = h("div", {});

  const cell = (row, field) => row[index.get(field)];
  const compare = (a, b, { column, descending }) => {
    const [x, y] = [cell(a, column), cell(b, column)];
    if (x === y) return 0;
    if (x === null) return 1;
    if (y === null) return -1;
    const numeric = isNumeric(data.columns[index.get(column)]?.type);
    const result = numeric ? Number(x) - Number(y) : String(x).localeCompare(String(y));
    return descending ? -result : result;
  };
  const tone = (row, field) => (options.conditional ?? []).find(({ when, column, color }) => {
    if ((column ?? when.column) !== field || !color) return false;
    const [left, right] = [cell(row, when.column), when.value];
    return left !== null && (TESTS[when.op] ?? (() => false))(typeof right === "number" ? Number(left) : left, right);
  })?.color;

  const sortBy = (field) => {
    const was = order[0];
    order = [{ column: field, descending: was?.column === field ? !was.descending : isNumeric(columns.find((column) => column.field === field).type) }];
    page = 0;
    render();
  };

  const render = () => {
    const rows = order.length ? [...data.rows].sort((a, b) => order.reduce((result, key) => result || (index.has(key.column) ? compare(a, b, key) : 0), 0)) : data.rows;
    const shown = rows.slice(page * size, (page + 1) * size);
    const pages = Math.ceil(rows.length / size);
    const totals = options.totals?.length
      ? h("tfoot", {}, h("tr", {}, columns.map((column, position) => h("td", { class: align(column) }, options.totals.includes(column.field)
          ? value(data.rows.reduce((sum, row) => sum + Number(cell(row, column.field) ?? 0), 0), column.format, { currency, type: column.type })
          : position === 0 ? "Total" : ""))))
      : null;
    fill(box,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows" }, h("table", { class: "data" },
        h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: align(column), "aria-sort": order[0]?.column === column.field ? (order[0].descending ? "descending" : "ascending") : null },
          h("button", { onclick: () => sortBy(column.field) }, column.title ?? column.field, order[0]?.column === column.field ? (order[0].descending ? " ↓" : " ↑") : ""))))),
        h("tbody", {}, shown.map((row) => h("tr", {}, columns.map((column) => h("td", { class: `${align(column)} ${tone(row, column.field) ?? ""}`.trim() }, value(cell(row, column.field), column.format, { currency, type: column.type })))))),
        totals)),
      pages > 1
        ? h("div", { class: "row small muted" }, h("span", { class: "grow" }, `${(page * size + 1).toLocaleString()}–${Math.min((page + 1) * size, rows.length).toLocaleString()} of ${rows.length.toLocaleString()}`),
            h("button", { class: "quiet", disabled: page === 0, onclick: () => { page -= 1; render(); } }, "Previous"), h("button", { class: "quiet", disabled: page >= pages - 1, onclick: () => { page += 1; render(); } }, "Next"))
        : null);
  };
  render();
  return box;
}

const align = (column) => ((column.align ?? (isNumeric(column.type) ? "right" : "left")) === "right" ? "number" : isTime(column.type) ? "time" : "");

/** The rows as RFC 4180 text; a leading formula character is quoted so that a spreadsheet does not run it. */
export function csv({ columns, rows }) {
  const field = (raw) => {
    if (raw === null) return "";
    let text = typeof raw === "object" ? JSON.stringify(raw) : String(raw);
    if (typeof raw === "string" && /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => field(name)), ...rows.map((row) => row.map(field))].map((line) => line.join(",")).join("\r\n");
}
