/** Light and dark: the system's choice until a person makes their own. */
const KEY = "bridge-theme";

export const current = () => document.documentElement.dataset.theme ?? "light";

export function start() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => set(localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light"), false);
  system.addEventListener("change", apply);
  apply();
}

export function toggle() {
  set(current() === "dark" ? "light" : "dark", true);
}

function set(theme, keep) {
  document.documentElement.dataset.theme = theme;
  if (keep) localStorage.setItem(KEY, theme);
  document.dispatchEvent(new CustomEvent("bridge:theme", { detail: theme }));
}
