/** `/connections`: add a warehouse, validate it, scan its catalog. */
import { follow, get, post, remove } from "./api.js";
import { context } from "./context.js";
import { dialog, failure, fill, h } from "./dom.js";
import { ago } from "./format.js";

const STATES = { validated: ["success", "validated"], failed: ["error", "failed"], pending_validation: ["warning", "not validated yet"] };

export async function render(main) {
  if (!context.team) { location.href = "/"; return; }
  const list = h("div", { class: "stack" });
  const admin = context.team.role === "admin";
  const load = async () => {
    try {
      const { connections } = await get(`/v1/onboarding/connections?team_id=${context.team.id}&limit=200`);
      fill(list, connections.length ? connections.map((connection) => line(connection, admin, load)) : h("div", { class: "empty" }, h("h2", {}, "No connections yet"), h("p", {}, "Connect BigQuery with a service account that may read the datasets you choose.")));
    } catch (error) { fill(list, failure(error, load)); }
  };
  fill(main, h("div", { class: "page-head" }, h("div", { class: "grow" }, h("h1", {}, "Connections"), h("p", { class: "muted" }, context.team.name)), admin ? h("button", { class: "primary", onclick: () => add(load) }, "Add BigQuery") : null), list);
  await load();
}

function line(connection, admin, reload) {
  const [tone, text] = STATES[connection.status] ?? ["", connection.status];
  const state = h("span", { class: `badge ${tone}` }, text);
  const progress = h("div", { class: "stack" });
  const buttons = h("div", { class: "row" },
    h("button", { onclick: () => work(`/v1/onboarding/connections/${connection.id}/validate`, {}, "Validating") }, "Validate"),
    connection.status === "validated" ? h("button", { onclick: () => work("/v1/onboarding/catalog/scan", { connection_id: connection.id }, "Scanning") }, "Scan the catalog") : null,
    connection.status === "validated" ? h("a", { class: "button quiet", href: `/catalog?connection_id=${connection.id}` }, "Browse") : null,
    admin ? h("button", { class: "quiet", onclick: () => ask() }, "Delete") : null);

  async function work(path, body, doing) {
    const bar = h("progress", { max: 1 });
    const label = h("span", { class: "small muted" }, `${doing} …`);
    fill(progress, h("div", { class: "row" }, bar, label));
    for (const button of buttons.querySelectorAll("button")) button.disabled = true;
    try {
      const { job_id: id } = await post(path, body);
      const job = await follow(id, ({ progress: { done, total, failed } }) => {
        if (total) { bar.max = total; bar.value = done + failed; label.textContent = `${doing}: ${done + failed} of ${total}${failed ? `, ${failed} failed` : ""}`; }
      });
      if (job.errors.length) fill(progress, h("div", { class: "note error stack" }, job.errors.map((error) => h("div", {}, [error.dataset, error.message].filter(Boolean).join(": ")))));
      await reload();
    } catch (error) { fill(progress, failure(error, () => work(path, body, doing))); }
    for (const button of buttons.querySelectorAll("button")) button.disabled = false;
  }

  function ask() {
    const box = dialog("Delete this connection?", h("p", {}, `The credentials of “${connection.name}” are destroyed. Dashboards that use it stop loading new data.`),
      h("div", { class: "row" }, h("button", { class: "primary", onclick: async () => { try { await remove(`/v1/onboarding/connections/${connection.id}`); box.close(); await reload(); } catch (error) { box.append(failure(error)); } } }, "Delete"), h("button", { onclick: () => box.close() }, "Keep")));
  }

  return h("section", { class: "card stack", "aria-label": connection.name },
    h("div", { class: "row" }, h("h2", { class: "grow" }, connection.name), state),
    h("p", { class: "small muted" }, connection.connection_type, connection.validated_at ? ` · checked ${ago(connection.validated_at)}` : "", connection.catalog ? ` · ${connection.catalog.datasets} datasets, ${connection.catalog.tables} tables` : ""),
    connection.validation_error ? h("div", { class: "note error" }, connection.validation_error) : null, buttons, progress);
}

function add(done) {
  const name = h("input", { required: true, maxlength: 120, value: "Warehouse" });
  const file = h("input", { type: "file", accept: ".json,application/json", required: true });
  const problem = h("div");
  const submit = async (event) => {
    event.preventDefault();
    try {
      const bytes = new Uint8Array(await file.files[0].arrayBuffer());
      const credentials = btoa(String.fromCharCode(...bytes));
      const made = await post("/v1/onboarding/connections", { team_id: context.team.id, name: name.value.trim(), connection_type: "bigquery", credentials }, { headers: { "Idempotency-Key": crypto.randomUUID() } });
      const { job_id: id } = await post(`/v1/onboarding/connections/${made.id}/validate`);
      fill(problem, h("p", { class: "muted" }, "Validating …"));
      await follow(id, () => {});
      box.close();
      await done();
    } catch (error) { fill(problem, failure(error)); }
  };
  const box = dialog("Connect BigQuery", h("form", { class: "stack", onsubmit: submit },
    h("p", { class: "muted" }, "The key is encrypted before it is stored and never shown again. The account needs the roles BigQuery Job User and BigQuery Data Viewer."),
    h("label", {}, "Name", name), h("label", {}, "Service-account key (JSON)", file), problem, h("div", {}, h("button", { class: "primary" }, "Connect"))));
}
