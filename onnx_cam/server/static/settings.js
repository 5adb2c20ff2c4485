// The settings of a map: built from what the server offers, read as fields of a form.

const byId = (id) => document.getElementById(id);
const form = byId("settings");
const LIMITED = ["budget", "tolerance", "samples", "sigma"]; // not every method takes them
const SELECTS = ["score", "baseline", "preprocess"];

let choices = null;

export function buildSettings(found) {
  choices = found;
  fill("method", choices.methods.map(({ name }) => [name, name]), "scorecam");
  fill("layer", choices.layers.map(layerOption), choices.layers[0]?.name);
  fill("score", [["", "the method’s own"], ...choices.scores.map((name) => [name, name])], "");
  fill("baseline", [["", "the method’s own"], ...choices.baselines.map((name) => [name, name])], "");
  fill("preprocess", [["", "the server’s own"], ...choices.preprocessings.map((name) => [name, name])], "");
  fill("colormap", Object.keys(choices.colormaps).map((name) => [name, name]), "turbo");
  const labels = (choices.labels || []).filter(Boolean);
  byId("class-names").replaceChildren(...labels.map((name) => new Option(name, name)));
  followMethod();
  form.hidden = choices.layers.length === 0;
}

function layerOption(layer) {
  const start = layer.is_default ? "default, " : ""; // long names are cut off, so they come last
  return [layer.name, `${start}${layer.shape.join("×")}: ${layer.name}`];
}

function fill(id, options, chosen) {
  const made = options.map(([value, text]) => new Option(text, value, value === chosen, value === chosen));
  byId(id).replaceChildren(...made);
}

function method() {
  return choices.methods.find(({ name }) => name === byId("method").value);
}

/** Offer the variants of the chosen method, and only the settings that it takes. */
export function followMethod() {
  const { variants, settings, summary, needs_gradient: needsGradient } = method();
  fill("variant", variants.map((name, i) => [name, i ? name : `${name}, default`]), variants[0]);
  byId("variant").disabled = variants.length < 2;
  byId("summary").textContent = summary;
  for (const name of LIMITED) {
    byId(name).disabled = !settings.includes(name);
    byId(name).title = settings.includes(name) ? "" : `${byId("method").value} does not take this`;
  }
  for (const name of ["score", "baseline"]) byId(name).disabled = needsGradient;
}

/** The fastest method that fits the chosen layer. */
export function quickMethod() {
  return choices.layers.find(({ name }) => name === byId("layer").value)?.quick;
}

/** Whether the chosen settings are those of the first map anyway. */
export function isQuick() {
  return byId("method").value === quickMethod() && byId("variant").selectedIndex === 0;
}

/** The fields that differ from the defaults, of which a first map takes those that do not belong to the method. */
export function chosenFields({ isFirst }) {
  const fields = { method: isFirst ? quickMethod() : byId("method").value };
  if (byId("layer").selectedIndex > 0) fields.layer = byId("layer").value;
  const names = isFirst ? ["preprocess"] : [...LIMITED, "seed", ...SELECTS];
  if (!isFirst && byId("variant").selectedIndex > 0) fields.variant = byId("variant").value;
  for (const name of names) {
    const text = byId(name).value.trim();
    if (text && !byId(name).disabled) fields[name] = text.replace(/\s*%$/, "%");
  }
  return fields;
}
