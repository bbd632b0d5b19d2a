// The page at "/": sends the text to "predict" and shows the entities of the answer. All addresses
// are relative, so that the page also works behind a proxy that adds a path.

const EXAMPLE =
  "On Tuesday, Maria Costa of the World Bank flew from Nairobi to London, where she met Kenyan " +
  "officials. Angela Merkel, who visited the United Nations in New York in September, praised " +
  "the talks. Floods had driven thousands from their homes in South Sudan.";

const $ = (id) => document.getElementById(id);

const state = {
  request: null, // the AbortController of the request under way
  text: "", // what the answer is about
  answer: null,
  hues: new Map(), // label → hue
  hidden: new Set(), // labels that the reader does not want to see
  legend: {}, // label → what it means, of some
};

// -- asking

async function submit() {
  state.request?.abort(); // a newer text takes the place of an older
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
  let response;
  try {
    response = await fetch("predict", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: body(text),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw { title: "The server cannot be reached", detail: "Is it running, and are you online?" };
  }
  // A proxy in between may answer with a page of its own, or break off.
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

function body(text) {
  return JSON.stringify({ text });
}

function setBusy(busy) {
  document.body.classList.toggle("busy", busy);
  $("submit").textContent = busy ? "Finding entities…" : "Find entities";
  $("result").setAttribute("aria-busy", busy);
}

// -- showing

// A problem as RFC 9457 has it: title, detail, and here also errors and a request id.
function showProblem({ title = "The page has failed", detail, errors, request_id: id }) {
  // A proxy's problem may have errors of another form.
  const known = Array.isArray(errors) ? errors.filter((error) => error?.message) : [];
  const lines = known.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  const parts = [make("strong", {}, title)];
  // With a single error, the detail is that error.
  if (detail && lines.length < 2) parts.push(make("p", {}, detail));
  if (lines.length > 1 || (lines.length && !detail)) {
    parts.push(make("ul", {}, ...lines.map((line) => make("li", {}, line))));
  }
  if (id) parts.push(make("small", {}, `Request ${id}`));
  $("problem").replaceChildren(make("div", { className: "problem" }, ...parts));
}

function showAnswer() {
  const { answer } = state;
  const counts = new Map();
  for (const { label } of answer.ents) counts.set(label, (counts.get(label) ?? 0) + 1);
  $("labels").replaceChildren(...[...counts.keys()].sort().map((l) => labelBox(l, counts.get(l))));
  const explained = [...counts.keys()].sort().filter((label) => state.legend[label]);
  $("legend").textContent = explained.map((l) => `${l}: ${state.legend[l]}`).join(" · ");
  $("filters").hidden = answer.ents.length === 0;
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
  const box = make("label", { className: "label" }, input, label, " ", make("span", {}, count));
  return coloured(box, label);
}

function showEntities() {
  const { answer, text, hidden } = state;
  const least = Number($("score").value);
  $("score-value").textContent = least.toFixed(2);
  // What another component of the pipeline found has no score.
  const shown = answer.ents.filter((e) => !hidden.has(e.label) && (e.score ?? 1) >= least);

  // Python counts characters, JavaScript halves of them where they are beyond 16 bits.
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
  $("status").textContent = summary(shown.length, answer.ents.length);
}

function entity(text, { label, score }) {
  const tag = make("span", { className: "tag" }, label);
  if (score !== null) tag.append(" ", make("span", { className: "score" }, score.toFixed(2)));
  // Read aloud, an entity and its label would otherwise run into the text around them.
  const spoken = (string) => make("span", { className: "spoken" }, string);
  return coloured(make("mark", {}, text, spoken(" ("), tag, spoken(")")), label);
}

function summary(shown, all) {
  if (all === 0) return "None found";
  return shown === all ? `${all} found` : `${shown} of ${all} shown`;
}

// Hues as far apart as the number of labels lets them be, whatever the labels are.
function huesOf(answer) {
  const known = answer.labels.filter((tag) => tag.startsWith("B-")).map((tag) => tag.slice(2));
  const labels = [...new Set([...known, ...answer.ents.map((e) => e.label)])].sort();
  return new Map(labels.map((label, i) => [label, Math.round((360 * i) / labels.length) + 40]));
}

function coloured(element, label) {
  element.style.setProperty("--hue", state.hues.get(label));
  return element;
}

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// -- taking along

function curl(text) {
  const quoted = body(text).replaceAll("'", "'\\''");
  return (
    `curl -X POST ${new URL("predict", document.baseURI)} ` +
    `-H "Content-Type: application/json" -d '${quoted}'`
  );
}

async function copy(id) {
  const text = $(id).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text);
  }
  $("copied").textContent = `${id === "json" ? "JSON" : "curl"} copied`;
}

// Over plain HTTP, browsers have no navigator.clipboard except on the machine itself.
function copyBySelection(text) {
  const focused = document.activeElement;
  const field = make("textarea", { value: text, className: "spoken" });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  focused.focus();
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

// -- what the reader does

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
