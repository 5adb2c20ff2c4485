// The page: an image comes in, a first map at once, then the chosen method's with its progress.

import { ApiError, explain, fetchChoices, hasToken, setToken } from "./api.js";
import { openCamera } from "./camera.js";
import { clear, setColours, setDeviation, setOpacity, showFile, showView } from "./picture.js";
import { className, showClasses, showDetails } from "./result.js";
import { buildSettings, chosenFields, followMethod, isQuick, quickMethod } from "./settings.js";

const byId = (id) => document.getElementById(id);
const SIDE = 16; // pixels of the overlay in an answer: the page draws its own, and files are made when they are wanted
const ANNOUNCE_EVERY = 10_000; // ms

let choices = null;
let image = null;
let target = null; // an index or a name; null for the likeliest
let versus = null;
let run = null; // the AbortController of what is under way

// --- what is said

function announce(text) {
  byId("announcer").textContent = text;
}

function complain(text) {
  byId("alert").textContent = text;
  byId("alert").hidden = !text;
}

function subjectOf(result) {
  const other = result.versus ? ` rather than ${className(result.versus)}` : "";
  return `Why ${className(result.target)}${other}?`;
}

// --- a run

function fieldsOf({ isFirst }) {
  const fields = { ...chosenFields({ isFirst }), side: SIDE, include: "view,link" };
  if (target !== null) fields.target = target;
  if (versus !== null) fields.versus = versus;
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("image", image, image.name || "image.png");
  return form;
}

/** Explain the image: first by the fastest method, where `withFirst`, then by the chosen one. */
async function explainImage({ withFirst }) {
  if (!image) return;
  run?.abort();
  const own = (run = new AbortController());
  complain("");
  try {
    if (withFirst && quickMethod() && !isQuick()) {
      if (!(await makeMap({ isFirst: true }, own))) return;
    }
    await makeMap({ isFirst: false }, own);
  } catch (error) {
    if (own !== run) return; // another run has taken its place
    if (error.name === "AbortError") {
      announce("Cancelled.");
      const isShown = byId("maker").textContent !== "";
      byId("maker").textContent += isShown ? "; cancelled before the chosen method was done" : "Cancelled";
    } else {
      if (byId("details").hidden) byId("subject").textContent = "No map of this image";
      report(error);
    }
  } finally {
    if (own === run) endProgress();
  }
}

/** Make one map and show it; return whether the run is still the one that counts. */
async function makeMap({ isFirst }, own) {
  const method = isFirst ? quickMethod() : byId("method").value;
  startProgress(isFirst ? `First map by ${method}` : method);
  let results;
  try {
    results = await explain(fieldsOf({ isFirst }), own.signal, {
      waiting: ({ position: n }) => showProgress(`${n === 1 ? "1 request is" : `${n} requests are`} before this one`),
      progress: (event) => showPasses(method, event),
    });
  } catch (error) {
    const goesOn = isFirst && error instanceof ApiError && error.status === 422;
    if (!goesOn) throw error;
    return own === run; // it may not fit this model or this contrast: the chosen method says what is wrong, if anything
  }
  if (own !== run) return false;
  await show(results[0], isFirst);
  return own === run;
}

async function show(result, isFirst) {
  target = result.target.index;
  versus = result.versus ? result.versus.index : versus;
  const subject = subjectOf(result);
  const label = `${subject} Map by ${result.method}. The arrow keys read its values.`;
  await showView({ ...result.view, empty: result.empty }, label);
  setShown(true);
  byId("subject").textContent = subject;
  const by = `${isFirst ? "First map, by" : "By"} ${result.method} ${result.variant}`;
  byId("maker").textContent = result.empty ? `${by}: the map is empty` : by;
  showClasses(result, choices.gives_probabilities, { explain: explainClass, contrast: contrastWith });
  showDetails(result, drawing);
  byId("deviation").checked = byId("deviation").checked && Boolean(result.view.deviation_png);
  setDeviation(byId("deviation").checked);
  const { subject: name, state } = result.view;
  announce(`${isFirst ? "First map" : "Map"} by ${result.method} is ready: ${name}, ${state}.`);
}

function setShown(isShown) {
  for (const id of ["pictures", "view"]) byId(id).hidden = !isShown;
}

function drawing() {
  return { alpha: byId("opacity").value / 100, colormap: byId("colormap").value };
}

// --- its progress

let announced = 0;

function startProgress(text) {
  announced = performance.now();
  byId("progress").hidden = false;
  byId("bar").removeAttribute("value");
  byId("passes").textContent = `${text} …`;
  byId("stage").setAttribute("aria-busy", "true");
}

function showProgress(text) {
  byId("passes").textContent = text;
  if (performance.now() - announced > ANNOUNCE_EVERY) {
    announced = performance.now();
    announce(text);
  }
}

function showPasses(method, { done, total, seconds_left: seconds }) {
  byId("bar").max = total;
  byId("bar").value = done;
  const left = seconds === null ? "" : `, ${duration(seconds)} left`;
  showProgress(`${method}: ${done.toLocaleString("en")} of ${total.toLocaleString("en")} forward passes${left}`);
}

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

function endProgress() {
  byId("progress").hidden = true;
  byId("stage").setAttribute("aria-busy", "false");
}

function report(error) {
  if (error instanceof ApiError && error.status === 401) {
    complain(hasToken() ? "The token is wrong." : "");
    askForToken();
  } else if (error instanceof ApiError) {
    complain(error.message);
  } else {
    complain(`The page failed: ${error.message}`);
    throw error;
  }
}

// --- what the user does

async function useImage(file) {
  if (!file) return;
  image = file;
  target = versus = null;
  byId("drop").classList.add("small-drop");
  byId("drop").querySelector(".lead").textContent = file.name || "The pasted image";
  byId("drop").querySelector(".button").textContent = "Another image";
  byId("subject").textContent = "Looking …";
  byId("maker").textContent = "";
  for (const id of ["classes", "details"]) byId(id).hidden = true;
  setShown(await showFile(file));
  await explainImage({ withFirst: true });
}

function explainClass(one) {
  target = one.index;
  versus = null;
  explainImage({ withFirst: true });
}

function contrastWith(one) {
  versus = one === null ? null : one.index;
  explainImage({ withFirst: true });
}

function askForToken() {
  if (!byId("token-dialog").open) byId("token-dialog").showModal();
}

async function start() {
  try {
    choices = await fetchChoices();
  } catch (error) {
    report(error);
    return;
  }
  complain("");
  document.title = `${choices.model} · onnx-cam`;
  byId("model").textContent = choices.model;
  const classes = choices.gives_probabilities ? `${choices.classes.toLocaleString("en")} classes` : "raw numbers";
  byId("about").textContent = `${classes}, ${choices.size.join("×")} pixels`;
  byId("api").hidden = hasToken(); // a link carries no token
  buildSettings(choices);
  setColours(choices.colormaps[byId("colormap").value]);
  setOpacity(0.5);
}

byId("file").onchange = () => useImage(byId("file").files[0]);
byId("capture").onchange = () => useImage(byId("capture").files[0]);
byId("camera").onclick = () =>
  openCamera(useImage).catch((error) => complain(`The camera cannot be used: ${error.message}`));
byId("cancel").onclick = () => run?.abort();
byId("method").onchange = followMethod;
byId("settings").onsubmit = (event) => {
  event.preventDefault();
  explainImage({ withFirst: false });
};
byId("settings").onchange = (event) => {
  const changesFirst = ["layer", "preprocess"].includes(event.target.id);
  explainImage({ withFirst: changesFirst });
};
byId("other").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("other-class").value.trim();
  if (!text) return;
  target = text;
  versus = null;
  explainImage({ withFirst: true });
};
byId("opacity").oninput = () => {
  byId("opacity-value").textContent = `${byId("opacity").value} %`;
  setOpacity(byId("opacity").value / 100);
};
byId("colormap").onchange = () => setColours(choices.colormaps[byId("colormap").value]);
byId("beside").onchange = () => {
  byId("original").hidden = !byId("beside").checked;
  byId("pictures").classList.toggle("two", byId("beside").checked);
};
byId("deviation").onchange = () => setDeviation(byId("deviation").checked);
byId("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText(byId("command").textContent);
  } catch {
    getSelection().selectAllChildren(byId("command")); // without TLS a page may not write to the clipboard
    document.execCommand("copy");
  }
  byId("copy").textContent = "Copied";
  setTimeout(() => (byId("copy").textContent = "Copy"), 2000);
};
byId("token-form").onsubmit = () => {
  setToken(byId("token").value.trim());
  start();
};
document.addEventListener("onnx-cam-error", ({ detail }) => report(detail));
document.addEventListener("paste", (event) =>
  useImage([...event.clipboardData.files].find((file) => file.type.startsWith("image/"))),
);
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  useImage(event.dataTransfer.files[0]);
});
clear();
start();
