// What is said beside the map: the classes, how far to trust it, files, and the command that makes it again.

import { ApiError, fetchFile } from "./api.js";

const byId = (id) => document.getElementById(id);
const NAMES = {
  "overlay.png": "PNG",
  "map.npy": "npy",
  "record.json": "JSON",
  "error.npy": "error npy",
  "error.png": "error PNG",
};

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function className(target) {
  return target.label ? `${target.label} (${target.index})` : `class ${target.index}`;
}

function scoreText(target, isProbability) {
  if (!isProbability) return target.score.toPrecision(4);
  const percent = 100 * target.score;
  if (percent < 0.01) return "< 0.01 %";
  return `${percent >= 9.995 ? percent.toFixed(1) : percent.toPrecision(2)} %`;
}

/** List the likeliest classes, and the explained ones where they are not among them. */
export function showClasses(result, isProbability, { explain, contrast }) {
  const { target, versus } = result;
  const listed = [...result.top];
  for (const one of [target, versus]) if (one && !listed.some(({ index }) => index === one.index)) listed.push(one);
  const largest = Math.max(...listed.map(({ score }) => Math.abs(score)), 1e-9);
  const focused = document.activeElement?.dataset?.key;
  byId("top").replaceChildren(
    ...listed.map((one) => {
      const isTarget = one.index === target.index;
      const isOther = versus?.index === one.index;
      const share = element("span", { className: "share" });
      share.style.width = `${100 * (isProbability ? one.score : Math.abs(one.score) / largest)}%`;
      const choose = element(
        "button",
        { type: "button", className: "class", onclick: () => explain(one) },
        share,
        element("span", { className: "name", textContent: className(one) }),
        element("span", { className: "score", textContent: scoreText(one, isProbability) }),
      );
      choose.setAttribute("aria-pressed", isTarget);
      choose.dataset.key = `explain ${one.index}`;
      const mark = element("span", { className: "explained", textContent: "explained" });
      return element("li", {}, choose, isTarget ? mark : against(one, target, isOther, contrast));
    }),
  );
  if (focused) byId("top").querySelector(`[data-key="${focused}"]`)?.focus();
  byId("classes").hidden = false;
}

function against(one, target, isOther, contrast) {
  const button = element("button", { type: "button", textContent: "rather than" });
  button.className = isOther ? "against" : "";
  button.onclick = () => contrast(isOther ? null : one);
  button.setAttribute("aria-pressed", isOther);
  button.setAttribute("aria-label", `Why ${className(target)} rather than ${className(one)}?`);
  button.dataset.key = `contrast ${one.index}`;
  return button;
}

export function showDetails(result, drawing) {
  const passes = `${result.passes.toLocaleString("en")} (${result.passes_skipped.toLocaleString("en")} skipped)`;
  const facts = [
    ["Class specificity", result.empty ? "the map is empty" : specificity(result)],
    ["Forward passes", `${passes} in ${result.seconds.toFixed(1)} s`],
    ["Layer", `${result.layer}, ${result.layer_shape.join("×")}`],
    ["Preprocessing", `${result.preprocessing.name}: ${result.preprocessing.source}`],
    ["Provider", result.provider],
  ];
  const pair = ([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })];
  byId("facts").replaceChildren(...facts.flatMap(pair));
  showError(result);
  byId("warnings").replaceChildren(...result.warnings.map((line) => element("li", { textContent: line })));
  showCommand(result.view.command);
  const files = Object.entries(result.link).filter(([name]) => NAMES[name]);
  byId("downloads").replaceChildren(
    ...files.map(([name, file]) => {
      const button = element("button", { type: "button", textContent: NAMES[name] });
      button.onclick = () => download(name, file, drawing);
      button.setAttribute("aria-label", `Download ${NAMES[name]}`);
      return button;
    }),
  );
  byId("details").hidden = false;
}

/** Show a command line whose options are not broken at their hyphens. */
function showCommand(command) {
  const words = command.split(" ").map((textContent) => element("span", { className: "word", textContent }));
  byId("command").replaceChildren(...words.flatMap((word, i) => (i ? [" ", word] : [word])));
}

function specificity(result) {
  if (result.specificity === null) return "unknown";
  return `${result.specificity.toFixed(3)} (at 0 the map does not depend on the class)`;
}

function showError({ error, view }) {
  byId("error").hidden = error === null;
  byId("deviation-choice").hidden = !view.deviation_png;
  if (error === null) return;
  const from = error.of === "noise" ? "averaging over the noise" : "the forward passes that were skipped";
  byId("precision").textContent = `${capital(view.precision)} of the class-specific part, from ${from}.`;
  const isKnown = error.relative_error !== null && error.relative_error_interval !== null;
  for (const id of ["interval", "estimate"]) byId(id).hidden = !isKnown;
  if (!isKnown) return;
  const [low, high] = error.relative_error_interval.map((share) => Math.min(1, share));
  byId("interval").style.left = `${100 * low}%`;
  byId("interval").style.width = `${Math.max(0.5, 100 * (high - low))}%`;
  byId("estimate").style.left = `${100 * Math.min(1, error.relative_error)}%`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

async function download(name, file, drawing) {
  const query = name.endsWith(".png") ? `?${new URLSearchParams(drawing())}` : "";
  const address = URL.createObjectURL(await fetchFile(file.href + query).catch(tell));
  const link = element("a", { href: address, download: file.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function tell(error) {
  if (error instanceof ApiError) document.dispatchEvent(new CustomEvent("onnx-cam-error", { detail: error }));
  throw error;
}
