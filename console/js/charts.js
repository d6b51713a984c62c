/** Draw a chart tile with Vega-Lite: the spec comes from the server, the rows from the data. */
import { current } from "./theme.js";

let runtime;

function load() {
  runtime ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/assets/vendor/vega.js";
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = () => { runtime = undefined; reject(new Error("The chart library did not load.")); };
    document.head.append(script);
  });
  return runtime;
}

/** Rows as records, numbers as numbers: big integers and decimals arrive as text. */
export function records({ columns, rows }) {
  const numeric = columns.map(({ type }) => /^(INT64|FLOAT64|NUMERIC|BIGNUMERIC)$/.test(type));
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, numeric[index] && row[index] !== null ? Number(row[index]) : row[index]])));
}

/** The spec to draw: with direct labels when there are few enough series, with a legend otherwise. */
function choose(chart, values) {
  const { direct } = chart;
  if (!direct) return chart.spec;
  if (direct.series === null || direct.series === undefined) return direct.spec;
  return new Set(values.map((row) => row[direct.series])).size <= direct.up_to ? direct.spec : chart.spec;
}

/** A chart has its rows and its spec; it loads no picture, no data and no link. */
const refuse = () => Promise.reject(new Error("A chart loads nothing."));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };

/** A point's values as rows of text. The library's own table would load a picture for a value that is called `image`. */
export function tip(value, clean) {
  if (value === null || typeof value !== "object") return clean(value);
  const { title, ...rest } = value;
  const rows = Object.entries(rest).filter(([, shown]) => shown !== undefined)
    .map(([key, shown]) => `<tr><td class="key">${clean(key)}</td><td class="value">${clean(typeof shown === "object" ? JSON.stringify(shown) : shown)}</td></tr>`);
  return `${title ? `<h2>${clean(title)}</h2>` : ""}${rows.length ? `<table>${rows.join("")}</table>` : ""}`;
}

/** Draw into the element; answers a function that removes the chart again. */
export async function draw(element, chart, data, config) {
  const embed = await load();
  let values = records(data);
  if (chart.rows_as === "features") {
    const field = chart.geometry_field;
    values = values.map(({ [field]: geometry, ...properties }) => ({ type: "Feature", geometry: JSON.parse(geometry), properties: { ...properties }, ...properties }));
  }
  const spec = structuredClone(choose(chart, values));
  const look = config[current()];
  const wide = Math.max(1, Math.floor((element.clientWidth || 600) / 150));
  const fitted = { ...look, legend: { ...look.legend, columns: Math.min(look.legend?.columns ?? 6, wide) } };
  const result = await embed(element, { ...spec, datasets: { ...(spec.datasets ?? {}), rows: values } }, {
    actions: false, ast: true, renderer: "svg", config: fitted, defaultStyle: false, loader,
    tooltip: { theme: "custom", disableDefaultStyle: true, formatTooltip: tip },
  });
  const observer = new ResizeObserver(() => result.view.resize().runAsync());
  observer.observe(element);
  return () => { observer.disconnect(); result.finalize(); element.replaceChildren(); };
}
