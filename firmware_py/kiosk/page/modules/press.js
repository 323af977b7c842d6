// A button that must be held: no sleeve, no leaning hand and no cloth breaks the glass.

import { el, shape } from "./dom.js";

const CLICK_MS = 800;

/** Calls `done` after `holdMs` of touch, pointer, Space or Enter. Let go before: nothing happens. */
export function holdButton(words, hint, holdMs, done) {
  const bar = el("span", { class: "hold-bar", "aria-hidden": "true" });
  const made = el(
    "button",
    { type: "button", class: "nhsuk-button nhsuk-button--warning hold", "data-hold": "true" },
    bar,
    shape("hatch"),
    el("span", {}, el("b", { text: words }), el("span", { class: "hold-hint", text: hint })),
  );
  let timer = 0;
  let heldMs = -Infinity;

  function begin() {
    if (timer) return;
    bar.style.transitionDuration = `${holdMs}ms`;
    made.classList.add("is-held");
    timer = setTimeout(() => {
      end();
      done();
    }, holdMs);
  }
  function end() {
    if (timer) heldMs = performance.now();
    clearTimeout(timer);
    timer = 0;
    bar.style.transitionDuration = "0ms";
    made.classList.remove("is-held");
  }

  made.addEventListener("pointerdown", (event) => event.button === 0 && begin());
  for (const kind of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
    made.addEventListener(kind, end);
  }
  made.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  made.addEventListener("keyup", (event) => {
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      end();
    }
  });
  made.addEventListener("contextmenu", (event) => event.preventDefault());
  made.addEventListener("click", () => {
    // A screen reader or a switch presses without a pointer and cannot hold: the reason, asked
    // next, is its second act. A click that ends a touch is none of theirs.
    if (performance.now() - heldMs > CLICK_MS) done();
  });
  return made;
}
