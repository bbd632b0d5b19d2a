// The page at "/" sends a text to "predict" and shows the entities in the answer. All addresses are
// relative, so that it also works behind a proxy that adds a prefix.

const EXAMPLE =
  "On Tuesday, Maria Costa of the World Bank flew from Nairobi to London, where she met Kenyan " +
  "officials. Floods had driven thousands from their homes in South Sudan.";

const $ = (id) => document.getElementById(id);

const state = {
  request: null, // the AbortController of the current request
  text: "", // the text of the answer
  answer: null,
  hues: new Map(), // label → hue; hues are spread evenly
  hidden: new Set(), // labels that the reader has unchecked
  legend: {}, // label → explanation, where there is one
};

async function submit() {
  state.request?.abort(); // a newer text replaces an older one
  const request = (state.request = new AbortController());
  const text = $("text").value;
  setBusy(true);
  try {
    const answer = await predict(text, request.signal);
    Object.assign(state, { text, answer, hues: huesOf(answer) });
    $("problem").replaceChildren();
    $("result").hidden = false;
    showAnswer();
  } catch (error) {
    if (request.signal.aborted) return;
    $("result").hidden = true;
    showProblem(error);
  } finally {
    if (state.request === request) setBusy(false);
  }
}

async function predict(text, signal) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const body = JSON.stringify({ text });
  const response = await fetch("predict", { method: "POST", headers, body, signal }).catch(() => {
    signal.throwIfAborted();
    throw { title: "The server cannot be reached", detail: "Is it running, and are you online?" };
  });
  // A proxy may answer with a page of its own, or cut off the answer.
  const json = await response.json().catch(() => null);
  signal.throwIfAborted();
  if (response.ok && json?.ents) return json;
  throw {
    title: `The server answered with status ${response.status}`,
    detail: json ? "" : "Its answer is not JSON, so it may come from a proxy in between.",
    request_id: response.headers.get("X-Request-ID"),
    ...json,
  };
}

function setBusy(busy) {
  $("waiting").hidden = !busy;
  $("submit").textContent = busy ? "Finding entities…" : "Find entities";
  $("result").setAttribute("aria-busy", busy);
}

// A problem (RFC 9457) with a title and a detail; ours also have errors and a request id.
function showProblem({ title = "The page has failed", detail, errors, request_id: id }) {
  // Errors of a proxy may have another form.
  const known = Array.isArray(errors) ? errors.filter((error) => error?.message) : [];
  const lines = known.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  const problem = make("div", { className: "problem" }, make("strong", {}, title));
  if (lines.length > 1) problem.append(make("ul", {}, ...lines.map((line) => make("li", {}, line))));
  else problem.append(make("p", {}, detail || (lines[0] ?? "")));
  if (id) problem.append(make("p", { className: "soft" }, `Request ${id}`));
  $("problem").replaceChildren(problem);
}

function showAnswer() {
  const { answer, legend } = state;
  const counts = {};
  for (const { label } of answer.ents) counts[label] = (counts[label] ?? 0) + 1;
  const labels = Object.keys(counts).sort();
  $("labels").replaceChildren(...labels.map((label) => labelBox(label, counts[label])));
  const explained = labels.filter((label) => legend[label]);
  $("legend").textContent = explained.map((label) => `${label}: ${legend[label]}`).join(" · ");
  $("filters").hidden = labels.length === 0;
  $("json").textContent = JSON.stringify(answer, null, 2);
  $("curl").textContent = curl(state.text);
  $("copied").textContent = "";
  showEntities();
}

function labelBox(label, count) {
  const input = make("input", { type: "checkbox", checked: !state.hidden.has(label) });
  input.addEventListener("change", () => {
    state.hidden[input.checked ? "delete" : "add"](label);
    showEntities();
  });
  const properties = { className: "label", style: styleOf(label) };
  return make("label", properties, input, label, " ", make("span", {}, count));
}

function showEntities() {
  const { answer, text, hidden } = state;
  const least = Number($("score").value);
  $("score-value").textContent = least.toFixed(2);
  // Entities set by another component of the pipeline have no score.
  const shown = answer.ents.filter((e) => !hidden.has(e.label) && (e.score ?? 1) >= least);

  // Offsets count code points, as in Python; those of JavaScript strings count UTF-16 units.
  const characters = Array.from(text);
  const slice = (start, end) => characters.slice(start, end).join("");
  const parts = [];
  let end = 0;
  for (const ent of shown) {
    parts.push(slice(end, ent.start), entity(slice(ent.start, ent.end), ent));
    end = ent.end;
  }
  $("marked").replaceChildren(...parts, slice(end));
  $("marked").hidden = text === "";
  const all = answer.ents.length;
  const found = `${all || "None"} found`;
  $("status").textContent = shown.length === all ? found : `${shown.length} of ${all} shown`;
}

function entity(text, { label, score }) {
  const tag = make("span", { className: "tag" }, label);
  if (score !== null) tag.append(" ", make("span", { className: "score" }, score.toFixed(2)));
  // Parentheses for screen readers, which would otherwise run the label into the text.
  const spoken = (string) => make("span", { className: "spoken" }, string);
  return make("mark", { style: styleOf(label) }, text, spoken(" ("), tag, spoken(")"));
}

function huesOf(answer) {
  const known = answer.labels.filter((tag) => tag.startsWith("B-")).map((tag) => tag.slice(2));
  const labels = [...new Set([...known, ...answer.ents.map((e) => e.label)])].sort();
  return new Map(labels.map((label, i) => [label, Math.round((360 * i) / labels.length) + 40]));
}

const styleOf = (label) => `--hue: ${state.hues.get(label)}`;

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function curl(text) {
  const quoted = JSON.stringify({ text }).replaceAll("'", "'\\''");
  const url = new URL("predict", document.baseURI);
  return `curl -X POST ${url} -H "Content-Type: application/json" -d '${quoted}'`;
}

async function copy(id) {
  const text = $(id).textContent;
  // Without HTTPS, browsers have a navigator.clipboard for localhost only.
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    const focused = document.activeElement;
    const field = make("textarea", { value: text, className: "spoken" });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    focused.focus();
  }
  $("copied").textContent = `${id === "json" ? "JSON" : "curl"} copied`;
}

async function showVersion() {
  const response = await fetch("version").catch(() => null);
  if (!response?.ok) return;
  const { name, version, labels, legend, runtime } = await response.json();
  state.legend = legend;
  const parts = [`${name} ${version}`, `labels: ${labels.join(", ")}`, `spaCy\u00a0${runtime.spacy}`];
  if (runtime.onnxruntime) parts.push(`ONNX\u00a0Runtime\u00a0${runtime.onnxruntime}`);
  $("version").textContent = parts.join(" · ");
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  submit();
});
$("example").addEventListener("click", () => {
  $("text").value = EXAMPLE;
  submit();
});
$("score").addEventListener("input", showEntities);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button.dataset.copy));
}
showVersion();
