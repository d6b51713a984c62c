/** Numbers, times and sizes as people read them. */
const locale = navigator.language || "en";
const cache = new Map();

function number(options) {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key);
}

export function integer(value) { return number({ maximumFractionDigits: 0 }).format(value); }

export function compact(value, digits = 1) {
  return Math.abs(value) < 10_000 ? number({ maximumFractionDigits: Math.abs(value) < 100 && !Number.isInteger(value) ? Math.max(digits, 1) : 0 }).format(value) : number({ notation: "compact", maximumFractionDigits: digits }).format(value);
}

/**
 * A value in one of the document's formats: `number`, `integer`, `short` (12.4 K), `percent`, `currency`, `bytes`, `duration`,
 * `date`, `datetime`, `text`, or a d3-like pattern such as `,.1f` or `.1%`. Null is an en dash.
 */
export function value(raw, format, { currency = "USD", type } = {}) {
  if (raw === null || raw === undefined || raw === "") return "–";
  if (typeof raw === "boolean") return raw ? "yes" : "no";
  const chosen = format === "auto" ? undefined : format;
  const kind = chosen ?? (isNumeric(type) ? "auto" : isTime(type) ? (type === "DATE" ? "date" : "datetime") : typeof raw === "number" ? "auto" : "text");
  if (kind === "date" || kind === "datetime") return moment(raw, kind);
  const amount = typeof raw === "number" ? raw : Number(raw);
  if (kind === "text" || Number.isNaN(amount)) return Array.isArray(raw) || typeof raw === "object" ? JSON.stringify(raw) : String(raw);
  if (kind === "auto" || kind === "number") return number({ maximumFractionDigits: Number.isInteger(amount) ? 0 : Math.abs(amount) >= 1000 ? 0 : 2 }).format(amount);
  if (kind === "integer") return integer(amount);
  if (kind === "short" || kind === "compact") return compact(amount);
  if (kind === "percent") return number({ style: "percent", maximumFractionDigits: 1 }).format(amount);
  if (kind === "currency") return number({ style: "currency", currency, maximumFractionDigits: Math.abs(amount) >= 1000 ? 0 : 2 }).format(amount);
  if (kind === "bytes") return bytes(amount);
  if (kind === "duration") return duration(amount * 1000);
  return d3(amount, kind, currency) ?? String(raw);
}

/** The part of d3's number patterns that documents use: `[$][,][.digits][~][f d % s g e]`. Undefined for any other text. */
function d3(amount, pattern, currency) {
  const found = /^(\$?)(,?)(?:\.(\d+))?(~?)([fd%sge]?)$/.exec(pattern);
  if (!found) return undefined;
  const [, dollar, group, precision, trim, style] = found;
  if (style === "s") return compact(amount, Number(precision ?? 1));
  if (style === "e") return amount.toExponential(Number(precision ?? 2));
  const digits = Number(precision ?? (style === "d" ? 0 : 2));
  const length = style === "g" ? { maximumSignificantDigits: Math.max(digits, 1) } : { minimumFractionDigits: precision === undefined || trim ? 0 : digits, maximumFractionDigits: style === "d" ? 0 : digits };
  return number({ ...length, useGrouping: Boolean(group) || style === "%", ...(style === "%" ? { style: "percent" } : dollar ? { style: "currency", currency } : {}) }).format(amount);
}

export const isNumeric = (type) => /^(INT64|FLOAT64|NUMERIC|BIGNUMERIC|INTEGER|FLOAT|DECIMAL|DOUBLE)/i.test(type ?? "");
export const isTime = (type) => /^(DATE|DATETIME|TIMESTAMP|TIME)/i.test(type ?? "");

function moment(raw, kind) {
  const text = String(raw);
  const date = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(date.getTime())) return text;
  return new Intl.DateTimeFormat(locale, kind === "date" ? { dateStyle: "medium", timeZone: "UTC" } : { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(date);
}

export function bytes(amount) {
  if (amount === null || amount === undefined) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  const step = amount < 1000 ? 0 : Math.min(Math.floor(Math.log10(amount) / 3), units.length - 1);
  const scaled = amount / 1000 ** step;
  return `${number({ maximumFractionDigits: scaled < 10 && step > 0 ? 1 : 0 }).format(scaled)} ${units[step]}`;
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export function money(amount) {
  if (amount === null || amount === undefined) return "cost unknown";
  const value = Number(amount);
  return value === 0 ? "$0.00" : value < 0.01 ? `$${value.toFixed(4)}` : `$${value.toFixed(2)}`;
}

/** "just now", "3 min ago", then a date. */
export function ago(iso) {
  const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
  if (Number.isNaN(seconds)) return "";
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  if (seconds < 45) return "just now";
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), "hour");
  if (seconds < 7 * 86_400) return relative.format(-Math.round(seconds / 86_400), "day");
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(new Date(iso));
}
