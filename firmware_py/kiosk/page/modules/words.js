// The sentences of the glass in the language of whoever stands before it.
//
// The English sentence is the key of a catalogue. The terminal's own sentences come in English, with
// numbers and names in them already; they find their key again by its `{places}`.

const LANGUAGES = ["en", "cy"];
const KNOWN_MOST = 500;

let language = "en";
let catalogue = {};
let templates = [];
const known = new Map();

/** Marks a sentence of ours that is said later, so that the catalogues' test finds it. */
export const msg = (sentence) => sentence;

/** A sentence in the present language, its `{places}` filled. */
export function t(sentence, places = {}) {
  const said = language === "en" ? sentence : catalogue[sentence] ?? fitted(sentence);
  return said.replace(/\{(\w+)\}/g, (place, name) => (name in places ? String(places[name]) : place));
}

/** A role: the ward's own stand as they are, ours ("Emergency access") are said. */
export const named = (words) => (language === "en" ? words : catalogue[words] ?? words);

/** One for 1, the other for everything else. */
export const count = (number, one, many) => t(number === 1 ? one : many, { n: number });

function fitted(sentence) {
  if (known.has(sentence)) return known.get(sentence);
  let said = sentence; // what no catalogue has is still said, in English
  for (const [pattern, names, foreign] of templates) {
    const found = pattern.exec(sentence);
    if (!found) continue;
    said = foreign.replace(/\{(\w+)\}/g, (_, name) => found[names.indexOf(name) + 1] ?? "");
    break;
  }
  if (known.size >= KNOWN_MOST) known.clear();
  known.set(sentence, said);
  return said;
}

function patternOf(sentence) {
  const names = [];
  const pattern = sentence
    .split(/(\{\w+\})/)
    .map((part) => {
      if (!/^\{\w+\}$/.test(part)) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      names.push(part.slice(1, -1));
      return "(.+?)";
    })
    .join("");
  return [new RegExp(`^${pattern}$`), names];
}

/** Fetches the Welsh once; without it the glass stays English. */
export async function learn() {
  const answer = await fetch("/cy.json", { cache: "no-store", credentials: "omit" });
  if (!answer.ok) return;
  catalogue = await answer.json();
  templates = Object.keys(catalogue)
    .filter((sentence) => sentence.includes("{"))
    .map((sentence) => [...patternOf(sentence), catalogue[sentence]]);
  known.clear();
}

export const speaks = () => language;

/** Changes the language; true when it was another. */
export function speak(code) {
  if (!LANGUAGES.includes(code) || code === language) return false;
  language = code;
  known.clear();
  document.documentElement.lang = code;
  retell();
  return true;
}

/** What stands in the page itself. */
export function retell() {
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
  }
}

/** A length of time in round words: seconds only where they matter. */
export function lasting(seconds) {
  if (seconds < 90) return t("{n} s", { n: Math.max(0, Math.ceil(seconds)) });
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 120) return t("{n} min", { n: minutes });
  return t("{n} h", { n: Math.floor(minutes / 60) });
}
