// Small tools to make elements: text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** A new element; `given` holds properties (`class`, `text`) and attributes. */
export function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

/** One of the page's shapes: `lock`, `open`, `ask` … */
export function shape(name, className = "icon") {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("class", className);
  drawn.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#shape-${name}`);
  drawn.append(use);
  return drawn;
}

export function svgPath(size, path, label) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", `0 0 ${size} ${size}`);
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", label);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  drawn.append(line);
  return drawn;
}

/** Text, or nothing at all. */
export function say(node, words) {
  if (node.textContent !== (words || "")) node.textContent = words || "";
  node.hidden = !words;
}

/** A large button; `press` is called when it is pressed. */
export function button(words, press, { kind = "", icon = null, ...given } = {}) {
  const made = el(
    "button",
    { type: "button", class: `nhsuk-button${kind && ` nhsuk-button--${kind}`}`, ...given },
    icon && shape(icon),
    el("span", { text: words }),
  );
  made.addEventListener("click", press);
  return made;
}

/** The way out of a question, which the key Escape takes too. */
export const wayOut = (words, press) => button(words, press, { kind: "secondary", "data-way-out": true });

/** Puts `children` into `node` only when `key` has changed: focus and a finger stay where they are. */
export function redraw(node, key, children) {
  const now = JSON.stringify(key);
  if (node.dataset.drawn === now) return false;
  node.dataset.drawn = now;
  const at = node.contains(document.activeElement) && document.activeElement.id;
  node.replaceChildren(...children().filter(Boolean));
  if (at) $(at)?.focus({ preventScroll: true }); // drawn anew, it is still the same button
  return true;
}
