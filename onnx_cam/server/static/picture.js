// The image with the map on it: drawn once, shown at any opacity, read at any point.

const BRIGHTNESS_OUTSIDE = 0.45; // as in the overlay that can be downloaded
const SMALLEST = 480; // pixels of the longer side on the screen
const byId = (id) => document.getElementById(id);
const frame = byId("frame");
const base = byId("base");
const heat = byId("heat");
const plain = byId("plain");
const probe = byId("probe");
const readout = byId("value");
const HINT = readout.textContent;

const contextOf = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

let view = null; // of the server, with the map's and the deviation's levels
let place = null; // [x, y] of the probe, in the view's pixels
let colours = null; // (256, 3), flat
let showsDeviation = false;

export function decodeBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function setColours(hex) {
  colours = Uint8Array.from({ length: 768 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
  const context = byId("legend").getContext("2d");
  const line = context.createImageData(256, 1);
  for (let level = 0; level < 256; level += 1) {
    line.data.set([...colours.slice(3 * level, 3 * level + 3), 255], 4 * level);
  }
  context.putImageData(line, 0, 0);
  drawHeat();
}

export function setOpacity(share) {
  heat.style.opacity = share;
}

export function setDeviation(shown) {
  showsDeviation = shown;
  drawHeat();
  read();
}

/** Show a file before the server has seen it; return whether the browser can read it. */
export async function showFile(file) {
  clear();
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
    for (const canvas of [base, plain]) {
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      contextOf(canvas).drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    }
    fit(base.width, base.height);
    return true;
  } catch {
    return false; // TIFF, HEIC or no image at all: the server's answer shows or says what it is
  }
}

export function clear() {
  view = null;
  heat.width = heat.width; // empties it
  place = null;
  read();
}

export async function showView(next, label) {
  const image = await bitmapOf(next.image_jpeg, "image/jpeg");
  view = {
    ...next,
    levels: levelsOf(await bitmapOf(next.map_png, "image/png")),
    deviations: next.deviation_png ? levelsOf(await bitmapOf(next.deviation_png, "image/png")) : null,
  };
  for (const canvas of [base, plain]) {
    [canvas.width, canvas.height] = [view.width, view.height];
    contextOf(canvas).drawImage(image, 0, 0);
  }
  fit(view.width, view.height);
  darkenOutside();
  drawHeat();
  frame.setAttribute("aria-label", label);
  read();
}

async function bitmapOf(base64, type) {
  return createImageBitmap(new Blob([decodeBase64(base64)], { type }), { colorSpaceConversion: "none" });
}

function levelsOf(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = contextOf(canvas);
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const levels = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < levels.length; i += 1) levels[i] = pixels[4 * i];
  return levels;
}

function isSeen(x, y) {
  const [x0, y0, x1, y1] = view.crop;
  return x >= x0 && x < x1 && y >= y0 && y < y1;
}

/** Let a picture take the width that there is, but not more than fits the window; a small one is enlarged. */
function fit(width, height) {
  const wanted = Math.max(width, Math.round((SMALLEST * width) / Math.max(width, height)));
  for (const element of [frame, plain]) {
    element.style.width = `min(100%, ${wanted}px, ${((76 * width) / height).toFixed(2)}vh)`;
    element.classList.toggle("enlarged", wanted > width);
  }
}

function darkenOutside() {
  const context = contextOf(base);
  const image = context.getImageData(0, 0, view.width, view.height);
  const { data } = image;
  for (let y = 0, i = 0; y < view.height; y += 1) {
    for (let x = 0; x < view.width; x += 1, i += 4) {
      if (isSeen(x, y)) continue;
      const grey = BRIGHTNESS_OUTSIDE * (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
      data[i] = data[i + 1] = data[i + 2] = grey;
    }
  }
  context.putImageData(image, 0, 0);
}

function drawHeat() {
  if (!view || !colours) return;
  [heat.width, heat.height] = [view.width, view.height];
  const isDeviation = showsDeviation && view.deviations;
  const values = isDeviation ? view.deviations : view.levels;
  byId("legend-end").textContent = isDeviation ? view.largest_deviation.toPrecision(2) : "1";
  if (view.empty) return;
  const context = heat.getContext("2d");
  const image = context.createImageData(view.width, view.height);
  for (let y = 0, i = 0; y < view.height; y += 1) {
    for (let x = 0; x < view.width; x += 1, i += 1) {
      if (!isSeen(x, y)) continue;
      const colour = 3 * values[i];
      image.data[4 * i] = colours[colour];
      image.data[4 * i + 1] = colours[colour + 1];
      image.data[4 * i + 2] = colours[colour + 2];
      image.data[4 * i + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function read() {
  const isPlaced = view !== null && place !== null;
  probe.hidden = !isPlaced;
  if (!isPlaced) {
    readout.textContent = HINT;
    return;
  }
  const [x, y] = place;
  probe.style.left = `${(100 * (x + 0.5)) / view.width}%`;
  probe.style.top = `${(100 * (y + 0.5)) / view.height}%`;
  const across = Math.floor((x * view.full_width) / view.width);
  const at = `at ${across}, ${Math.floor((y * view.full_height) / view.height)}`; // in the image's own pixels
  if (!isSeen(x, y)) {
    readout.textContent = `The network does not see this point, ${at}.`;
    return;
  }
  const i = y * view.width + x;
  const doubt = view.deviations ? ` ± ${((view.largest_deviation * view.deviations[i]) / 255).toFixed(3)}` : "";
  readout.textContent = `Value ${(view.levels[i] / 255).toFixed(2)}${doubt} ${at}`;
}

function moveTo(x, y) {
  if (!view) return;
  const within = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  place = [within(x, view.width), within(y, view.height)];
  read();
}

function moveToPointer(event) {
  if (!view) return;
  const box = base.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  moveTo((x / box.width) * view.width, (y / box.height) * view.height);
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function moveByKey(event) {
  if (!view) return;
  if (event.key === "Escape") {
    place = null;
    read();
    return;
  }
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const size = Math.max(1, Math.round(Math.max(view.width, view.height) / (event.shiftKey ? 10 : 50)));
  const [x, y] = place || [view.width / 2, view.height / 2];
  moveTo(x + size * step[0], y + size * step[1]);
}

frame.addEventListener("pointermove", moveToPointer);
frame.addEventListener("pointerdown", moveToPointer);
frame.addEventListener("pointerleave", () => {
  if (document.activeElement !== frame) {
    place = null;
    read();
  }
});
frame.addEventListener("keydown", moveByKey);
