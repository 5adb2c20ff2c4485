
"use strict";

const { survey, version, notSure } = document.body.dataset;
const STORE = `map-survey-${survey}`;
const byId = (id) => document.getElementById(id);
const sections = [...document.querySelectorAll("section[data-item]")];
const items = new Map(sections.map((section) => [section.dataset.item, boxesIn(section)]));

let reviewer = "";
let answers = {}; // the letters of each item, or [not sure]
let place = 0;
let unsaved = 0; // changes since the answers were last saved to a file
let storesAnswers = true; // whether the browser does

function boxesIn(section) {
  return [...section.querySelectorAll("input[type=checkbox]")];
}

function sameName(name) {
  return name.normalize("NFKC").trim().toLowerCase();
}

// What the browser stores: {current, reviewers: {name: {reviewer, place, answers}}}. Another window may write it, too.

function readStore() {
  const nothing = { current: null, reviewers: {} };
  let text = null;
  try {
    text = localStorage.getItem(STORE);
    if (text === null) return nothing;
    const store = JSON.parse(text);
    if (typeof store.reviewers === "object" && store.reviewers !== null) return store;
  } catch (error) {
    if (text === null) return noStorage(nothing);
  }
  try {
    localStorage.setItem(`${STORE}-damaged`, text);
    localStorage.removeItem(STORE);
  } catch (error) {
    noStorage();
  }
  warn("The answers that this browser stored cannot be read. If you saved them to a file, load that file.");
  return nothing;
}

function noStorage(result) {
  storesAnswers = false;
  warn("This browser does not keep your answers when the page is closed or reloaded. Save them to a file before that.");
  return result;
}

function updateStore(change) {
  if (!storesAnswers) return;
  const store = readStore();
  change(store);
  const text = JSON.stringify(store);
  try {
    localStorage.setItem(STORE, text);
    if (localStorage.getItem(STORE) !== text) noStorage();
  } catch (error) {
    noStorage();
  }
}

function mine(store) {
  const name = sameName(reviewer);
  if (!Object.hasOwn(store.reviewers, name)) {
    Object.defineProperty(store.reviewers, name, {
      value: { reviewer, place: 0, answers: {} }, enumerable: true, writable: true, configurable: true,
    });
  }
  return store.reviewers[name];
}

function warn(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
}

function say(text) {
  byId("status").textContent = text;
}

// Answers

function validAnswers(content) {
  const valid = {};
  for (const [item, boxes] of items) {
    const letters = content && Object.hasOwn(content, item) ? content[item] : null;
    if (!Array.isArray(letters) || letters.length === 0) continue;
    const values = boxes.map((box) => box.value);
    const exclusive = !letters.includes(notSure) || letters.length === 1; // "not sure" excludes the maps
    if (exclusive && letters.every((value) => values.includes(value)) && new Set(letters).size === letters.length) {
      valid[item] = letters;
    }
  }
  return valid;
}

function showAnswers() {
  for (const [item, boxes] of items) {
    const letters = answers[item] || [];
    for (const box of boxes) box.checked = letters.includes(box.value);
  }
  showCount();
}

function showCount() {
  const done = Object.keys(answers).length;
  byId("count").textContent = `${done} of ${items.size} answered`;
  byId("bar").value = done;
  byId("open").disabled = done === items.size;
}

function setAnswer(item, letters) {
  if (letters.length) answers[item] = letters;
  else delete answers[item];
  unsaved += 1;
  updateStore((store) => { // answers from another window stay, and answers that got lost there are put back
    const own = mine(store);
    own.answers = { ...answers, ...own.answers, [item]: letters };
    if (!letters.length) delete own.answers[item];
    answers = validAnswers(own.answers);
  });
  showAnswers();
}

byId("review").addEventListener("change", (event) => {
  const item = event.target.name;
  for (const box of items.get(item)) {
    const excluded = (box.value === notSure) !== (event.target.value === notSure);
    if (event.target.checked && excluded) box.checked = false;
  }
  setAnswer(item, items.get(item).filter((box) => box.checked).map((box) => box.value));
});

window.addEventListener("storage", (event) => {
  if (event.key !== STORE || !reviewer || !storesAnswers) return;
  answers = validAnswers(mine(readStore()).answers);
  showAnswers();
});

// Moving about

function showPart(id) {
  for (const part of ["start", "review", "end"]) byId(part).hidden = part !== id;
  byId("who").hidden = byId("progress").hidden = id === "start";
}

function showImage(index, focus = true) {
  place = Math.min(Math.max(index, 0), sections.length - 1);
  showPart("review");
  sections.forEach((section, number) => { section.hidden = number !== place; });
  byId("previous").disabled = place === 0;
  byId("next").textContent = place === sections.length - 1 ? "Finish" : "Next";
  updateStore((store) => { mine(store).place = place; });
  say("");
  window.scrollTo(0, 0);
  if (focus) sections[place].querySelector("h2").focus({ preventScroll: true });
}

function showEnd() {
  const unanswered = sections.map((section) => section.dataset.item).filter((item) => !answers[item]);
  showPart("end");
  byId("end-title").textContent = unanswered.length
    ? `Images without an answer: ${unanswered.length}`
    : "All images have an answer";
  byId("end-text").textContent = unanswered.length
    ? `These are ${unanswered.join(", ")}. You can go back to them, or save your answers as they are.`
    : "Save your answers, and send the file to the person who sent you this page. Thank you.";
  byId("end-title").focus();
}

function firstUnanswered(from) {
  const order = [...sections.keys()].map((step) => (from + step) % sections.length);
  return order.find((index) => !answers[sections[index].dataset.item]);
}

byId("review").addEventListener("submit", (event) => {
  event.preventDefault();
  if (place === sections.length - 1) showEnd();
  else showImage(place + 1);
});
byId("previous").addEventListener("click", () => showImage(place - 1));
byId("open").addEventListener("click", () => showImage(firstUnanswered(place + 1) ?? place));
byId("back").addEventListener("click", () => showImage(firstUnanswered(0) ?? place));

byId("review").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step || event.ctrlKey || event.altKey || event.metaKey || event.target.closest("nav")) return;
  const boxes = boxesIn(sections[place]);
  const at = boxes.indexOf(event.target);
  event.preventDefault();
  boxes[at < 0 ? 0 : (at + step + boxes.length) % boxes.length].focus();
});

// Who answers

function begin(name) {
  reviewer = name.trim();
  updateStore((store) => {
    const own = mine(store);
    own.reviewer = reviewer;
    store.current = sameName(reviewer);
    answers = validAnswers(own.answers);
    place = Number.isInteger(own.place) ? own.place : 0;
  });
  byId("reviewer-name").textContent = reviewer;
  unsaved = 0;
  showAnswers();
  showImage(place);
}

byId("start").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = byId("reviewer").value;
  if (!name.trim()) {
    say("Please enter your name or code.");
    byId("reviewer").focus();
    return;
  }
  if (sameName(name) !== sameName(reviewer)) {
    answers = {};
    place = 0;
  }
  begin(name);
  const done = Object.keys(answers).length;
  if (done) say(`Continuing with ${done} answers by ${reviewer}.`);
});

byId("change").addEventListener("click", () => {
  if (!storesAnswers && unsaved) {
    warn("Save the answers to a file first: this browser does not keep them while another reviewer uses the page.");
    return;
  }
  updateStore((store) => { store.current = null; });
  byId("reviewer").value = "";
  say("");
  showPart("start");
  byId("reviewer").focus();
});

// Files

function save() {
  const done = Object.keys(answers).length;
  if (!done) {
    say("There are no answers to save yet.");
    return;
  }
  const ordered = Object.fromEntries([...items.keys()].filter((item) => answers[item]).map((item) => [item, answers[item]]));
  const content = { version: Number(version), survey, reviewer, answers: ordered };
  const link = document.createElement("a");
  const plain = reviewer.replace(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 60);
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
  link.download = `answers-${survey}-${plain}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  unsaved = 0;
  say(`Saved answers to ${done} of ${items.size} images as ${link.download}. The file is among this browser's downloads.`);
}

byId("save").addEventListener("click", save);
byId("save-end").addEventListener("click", save);

async function readFile(file) {
  if (file.size > 1_000_000) throw new Error("it is too large");
  const content = JSON.parse(await file.text());
  if (content?.survey !== survey) throw new Error("it belongs to another survey");
  if (content.version !== Number(version)) throw new Error("it was saved by another version of this page");
  if (typeof content.reviewer !== "string" || !content.reviewer.trim()) throw new Error("it does not name a reviewer");
  return { name: content.reviewer, valid: validAnswers(content.answers), items: Object.keys(content.answers || {}) };
}

byId("file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  try {
    const { name, valid, items: answered } = await readFile(file);
    if (sameName(name) !== sameName(reviewer)) {
      answers = {};
      place = 0;
    }
    begin(name);
    const replaced = Object.keys(valid).filter((item) => answers[item] && String(answers[item]) !== String(valid[item]));
    for (const [item, letters] of Object.entries(valid)) setAnswer(item, letters);
    unsaved = 0;
    showAnswers();
    showImage(firstUnanswered(0) ?? 0);
    const lost = answered.length - Object.keys(valid).length;
    say(`Loaded ${Object.keys(valid).length} answers by ${reviewer}.`
      + (replaced.length ? ` ${replaced.length} of them replaced answers that this browser had stored.` : "")
      + (lost ? ` ${lost} more could not be read.` : ""));
  } catch (error) {
    warn(`${file.name} cannot be loaded: ${error.message}. Choose a file that this page saved.`);
  }
});

window.addEventListener("beforeunload", (event) => {
  if (!storesAnswers && unsaved) event.preventDefault();
});

const before = readStore();
const current = before.current === null ? undefined : before.reviewers[before.current];
if (current && typeof current.reviewer === "string") begin(current.reviewer);
else showPart("start");
