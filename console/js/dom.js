import { LINK, place } from "./links.js";

/** Build elements without ever parsing text as HTML. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name in element && name !== "list" && name !== "form" && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace everything inside an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Say something to screen readers without moving the focus. */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

/** A short text as a small set of paragraphs: blank lines part them; **bold**, `code` and [links](/) are kept. */
export function prose(text) {
  return String(text).trim().split(/\n{2,}/).map((paragraph) => {
    if (/^#{1,4} /.test(paragraph)) return h("h3", {}, paragraph.replace(/^#+ /, ""));
    const lines = paragraph.split("\n");
    if (lines.every((line) => /^[-*] /.test(line))) return h("ul", {}, lines.map((line) => h("li", {}, inline(line.slice(2)))));
    return h("p", {}, inline(paragraph));
  });
}

function inline(text) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\[\]]{1,300}\]\([^) \n]{1,2000}\))/u).map((part) => {
    if (part.startsWith("**") && part.length > 4) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`") && part.length > 2) return h("code", {}, part.slice(1, -1));
    const [whole, label, address] = LINK.exec(part) ?? [];
    const leads = whole === part ? place(address) : null;
    if (leads) return h("a", { href: address, ...(leads === "outside" ? { rel: "noopener noreferrer", target: "_blank" } : {}) }, label);
    return part;
  });
}

/** A modal dialog that closes with Esc, its button, or a click beside it; the focus returns where it was. */
export function dialog(title, ...content) {
  const before = document.activeElement;
  const box = h("dialog", { "aria-label": title },
    h("div", { class: "row" }, h("h2", { class: "grow" }, title), h("button", { class: "quiet icon", "aria-label": "Close", onclick: () => box.close() }, "✕")),
    ...content);
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  box.addEventListener("close", () => { box.remove(); before?.focus?.(); });
  document.body.append(box);
  box.showModal();
  return box;
}

/** What to show when something failed: the reason, the id to find it by, and one way on. */
export function failure(error, retry) {
  return h("div", { class: "note error stack", role: "alert" },
    h("div", {}, error.message ?? String(error)),
    error.correlationId ? h("div", { class: "small muted" }, `Reference ${error.correlationId}`) : null,
    retry ? h("div", {}, h("button", { onclick: retry }, "Try again")) : null);
}
