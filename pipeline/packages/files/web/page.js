// The page: the form of the release's head, and what it answers.

import { InputError } from "./distilforge/encoding.js";
import { describe, load } from "./engine.js";
import { TASKS } from "./tasks.js";

const element = (id) => document.getElementById(id);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

let model = null;

async function start() {
  const description = await describe();
  const { manifest, settings } = description;
  const task = TASKS[manifest.head];
  document.title = `${manifest.name} · ${task.kind}`;
  element("name").textContent = manifest.name;
  element("kind").textContent = task.kind;
  element("submit").textContent = task.action;
  showFacts(settings);
  const fields = addFields(task, manifest);
  element("example").addEventListener("click", () => {
    for (const [name, text] of Object.entries(task.example)) fields[name].value = text;
    if (model !== null) element("task").requestSubmit();
  });
  element("task").addEventListener("submit", (event) => {
    event.preventDefault();
    answer(task, fields);
  });
  element("loading-detail").textContent = "Starting…";
  model = await load(description, (received, total) => {
    element("progress").value = total > 0 ? received / total : 0;
    element("loading-detail").textContent = total > 0
      ? `${megabytes(received)} of ${megabytes(total)}`
      : megabytes(received);
    if (received === total) element("loading-detail").textContent = "Starting the engine…";
  });
  element("loading").hidden = true;
  element("status").textContent = "The model is ready.";
  element("submit").disabled = false;
  document.body.dataset.state = "ready";
}

/** The fields of the task's form, by name. */
function addFields(task, manifest) {
  const fields = {};
  for (const { name, label, rows, hint } of task.fields) {
    const box = document.createElement("div");
    box.className = "field";
    const caption = document.createElement("label");
    caption.htmlFor = `field-${name}`;
    caption.textContent = label;
    const field = document.createElement(rows === undefined ? "input" : "textarea");
    field.id = `field-${name}`;
    field.required = true;
    if (rows !== undefined) field.rows = rows;
    box.append(caption, field);
    if (hint !== undefined) {
      const text = document.createElement("p");
      text.className = "hint";
      text.id = `hint-${name}`;
      text.textContent = typeof hint === "function" ? hint(manifest) : hint;
      field.setAttribute("aria-describedby", text.id);
      box.append(text);
    }
    element("fields").append(box);
    fields[name] = field;
  }
  return fields;
}

async function answer(task, fields) {
  const texts = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
  for (const [name, field] of Object.entries(fields)) {
    const isEmpty = texts[name].trim() === "";
    field.toggleAttribute("aria-invalid", false);
    if (isEmpty) {
      field.setAttribute("aria-invalid", "true");
      element("message").textContent = "Please fill in every field.";
      field.focus();
      return;
    }
  }
  element("message").textContent = "";
  element("submit").disabled = true;
  element("result").setAttribute("aria-busy", "true");
  try {
    const begin = performance.now();
    const content = await task.show(model, texts);
    const milliseconds = Math.max(1, Math.round(performance.now() - begin));
    element("answer").replaceChildren(...content);
    element("timing").textContent = `${milliseconds} ms in this browser`;
    element("result").hidden = false;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    element("message").textContent = error.message;
  } finally {
    element("result").setAttribute("aria-busy", "false");
    element("submit").disabled = false;
  }
}

function showFacts(settings) {
  const facts = {
    Version: settings.version,
    Variant: `${settings.variant}: ${settings.reason}`,
    Download: `${megabytes(settings.bytes)}, once`,
  };
  element("facts").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    term.textContent = name;
    const detail = document.createElement("dd");
    detail.textContent = value;
    return [term, detail];
  }));
}

function fail(error) {
  const summary = document.createElement("strong");
  summary.textContent = model === null ? "The model could not be loaded." : "The model failed on this input.";
  element("failure").replaceChildren(
    summary,
    `${error?.message ?? error} Reload the page; if that does not help, test the package with self-test.html.`,
  );
  element("failure").hidden = false;
  element("loading").hidden = true;
  document.body.dataset.state = "failed";
}

window.addEventListener("unhandledrejection", (event) => fail(event.reason));
start().catch(fail);
