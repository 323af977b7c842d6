// Letters on the glass, for the text fields of a sheet: a ward lead has a finger, and no keyboard.
//
// They come when a field is touched and go when a key is pressed, when it is done, and with the
// field. Welsh letters stand there as themselves. While they are there the sheet shows the group of
// that field alone: both have room on the smallest glass. What is written lives in the field.

import { $, el, shape } from "./dom.js";
import { msg, speaks, t } from "./words.js";

const PLAIN = ["qwertyuiop", "asdfghjkl'", "zxcvbnm-"];
const OTHERS = ["àáäåçèéëìí", "ïłñòóöøšùú", "üẁẃẅýỳÿž"];
const WELSH = "âêîôûŵŷ";
const NUMBERS = ["123", "456", "789"];
const FIELDS = "#sheet .input";

let field = null;
/** Whether the next letter is a capital, and whether the seldom ones are shown. */
let capital = false;
let others = false;
let drawnIn = "";

const isThere = () => field?.isConnected && !$("sheet").hidden;

/** Goes with the field that they were for; in the present language while they stay. */
export function drawLetters() {
  if (!field) return;
  if (!isThere()) hideLetters();
  else if (drawnIn !== speaks()) build();
}

export function hideLetters() {
  if (!field) return;
  field = null;
  others = false;
  $("letters").hidden = true;
  $("sheet").classList.remove("is-typing");
  for (const group of document.querySelectorAll(".is-typed")) group.classList.remove("is-typed");
}

function show(touched) {
  hideLetters();
  field = touched;
  if (drawnIn !== speaks()) build();
  touched.closest(".group")?.classList.add("is-typed");
  $("sheet").classList.add("is-typing");
  $("letters").hidden = false;
  capital = isNameBegun();
  tell();
  field.scrollIntoView({ block: "nearest" });
}

/** A name's words begin with a capital; a number's letters are capitals. */
function isNameBegun() {
  const before = field.value.slice(0, field.selectionStart);
  if (field.autocapitalize === "characters") return true;
  return field.autocapitalize === "words" && /(^|[\s'-])$/.test(before);
}

function write(letter) {
  if (!isThere()) return hideLetters();
  const [from, to] = [field.selectionStart, field.selectionEnd];
  if (field.value.length - (to - from) + letter.length > field.maxLength) return undefined;
  return replace(capital ? letter.toUpperCase() : letter, from, to);
}

function rub() {
  if (!isThere()) return hideLetters();
  const [from, to] = [field.selectionStart, field.selectionEnd];
  return replace("", from === to ? Math.max(0, from - 1) : from, to);
}

function replace(text, from, to) {
  field.setRangeText(text, from, to, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  capital = isNameBegun();
  others = false;
  tell();
}

/** What the keys write now: told by their look, not by other keys under a finger. */
function tell() {
  const board = $("letters");
  board.dataset.capital = String(capital);
  board.dataset.others = String(others);
  for (const [id, on] of [["letters-capital", capital], ["letters-others", others]]) {
    $(id).setAttribute("aria-pressed", String(on));
  }
}

function key(given, press, ...children) {
  const made = el("button", { type: "button", ...given, class: `letter ${given.class ?? ""}`.trim() }, ...children);
  made.addEventListener("click", press);
  return made;
}

const keys = (letters, kind) => [...letters].map((letter) => key({ class: kind, text: letter }, () => write(letter)));

function build() {
  drawnIn = speaks();
  const toggle = (change) => () => {
    change();
    tell();
  };
  const capitals = toggle(() => {
    capital = !capital;
  });
  const seldom = toggle(() => {
    others = !others;
  });
  const named = (words) => ({ "aria-label": t(words) });
  const letters = [0, 1, 2].flatMap((at) => [
    at === 2 && key({ id: "letters-capital", ...named(msg("Capital letters")) }, capitals, shape("capital")),
    ...keys(PLAIN[at], "plain"),
    ...keys(OTHERS[at], "other"),
    at === 2 && key(named(msg("Delete")), rub, shape("rub")),
  ]);
  const last = [
    key({ id: "letters-others", class: "letter--few", text: "éèë" }, seldom),
    ...keys(WELSH, ""),
    key({ class: "letter--wide", text: t("Space") }, () => write(" ")),
  ];
  const done = key({ class: "letter--wide letter--go", text: t("Done") }, hideLetters);
  $("letters").replaceChildren(
    el("div", { class: "letters-block" }, ...letters, ...last),
    el("div", { class: "letters-block letters-block--numbers" }, ...NUMBERS.flatMap((row) => keys(row, "")), ...keys("0", ""), done),
  );
}

export function readyLetters() {
  // The field keeps its focus and its caret, whatever is touched here.
  $("letters").addEventListener("mousedown", (event) => event.preventDefault());
  document.addEventListener("click", ({ target }) => {
    if (target.matches(FIELDS)) show(target);
    else if (!target.closest("#letters, label")) hideLetters();
  });
}
