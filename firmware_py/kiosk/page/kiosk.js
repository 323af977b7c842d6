"use strict";
// Draws what the terminal says and nothing else. No name outlives the state that carried it.
(() => {
  const SILENCE_MS = 6000; // the terminal pings every two seconds
  const ACTIVITY_MS = 1000;
  const AGAIN_MS = 500;
  const PIN_MOST = 8;
  const PIN_LEAST = 6;

  const FACES = {
    starting: ["Starting", "ring"], enrolling: ["Enrolment", "triangle"], waiting: ["Waiting", "triangle"], locked: ["Locked", "lock"],
    checking: ["Checking", "ring"], pin: ["PIN", "diamond"], choose: ["Choose", "diamond"],
    open: ["Open", "circle"], dimmed: ["Dimmed", "ring"], warning: ["Locking soon", "triangle"],
    refused: ["Not accepted", "octagon"], offer: ["Offer", "diamond"], notice: ["Note", "triangle"],
  };
  const MISSING = {
    readers: "a card reader", pcscd: "the card service", broker: "the network",
    gateway: "the site's gateway", directory: "the list of cards",
  };
  const STEPS = {
    file: "Enrolment file", link: "Network cable", address: "Address", name: "Name", gateway: "Gateway",
    clock: "Clock", certificate: "Certificate", token: "Token",
  };
  const MARKS = { done: ["\u2713", "done"], waits: ["\u25b6", "waits"], later: ["\u00b7", "later"] };

  const $ = (id) => document.getElementById(id);
  const boot = new URLSearchParams(location.search).get("boot") || "";
  if (boot) history.replaceState(null, "", "/?boot=" + boot); // a reload finds its way back

  let digits = "";
  let screen = "starting";
  let lastActivity = 0;
  let silence = 0;
  let stream = null;

  const post = (path, body) => fetch("/" + path, {
    method: "POST", cache: "no-store", credentials: "omit",
    headers: { "Content-Type": "application/json", "X-Tapover-Boot": boot },
    body: JSON.stringify(body),
  }).catch(() => undefined); // the stream notices too, and covers

  const text = (id, words) => {
    const node = $(id);
    node.textContent = words || "";
    node.hidden = !words;
  };

  function cover() {
    delete document.body.dataset.connected;
    digits = "";
    for (const id of ["name", "role", "bar-name", "bar-role", "words", "reference"]) $(id).textContent = "";
    $("enrolling").hidden = true;
    $("parked-lines").replaceChildren();
    $("choices").replaceChildren();
    document.title = "Ward terminal";
  }

  function dots() {
    $("pad-dots").textContent = "\u25cf".repeat(digits.length);
    $("pad-dots").setAttribute("aria-label", digits.length ? digits.length + " digits entered" : "No digits entered");
    $("pad-enter").disabled = digits.length < PIN_LEAST;
  }

  function age(seconds) {
    if (seconds === null) return "no list of cards yet";
    if (seconds < 60) return "up to date";
    if (seconds < 7200) return "card list " + Math.round(seconds / 60) + " minutes old";
    return "card list " + Math.round(seconds / 3600) + " hours old";
  }

  function draw(state) {
    const [word, shape] = FACES[state.screen] || FACES.notice;
    const changed = state.screen !== screen;
    screen = state.screen;
    document.body.dataset.screen = screen;
    document.body.dataset.connected = "yes";
    $("shape").className = "shape " + shape;
    // Said of somebody else's card: the name of whoever is here stays in the bar alone.
    const aboutHer = !["refused", "notice", "offer"].includes(screen);
    $("bar-state").className = "mark " + (aboutHer || !state.name ? shape : "circle");
    text("state-word", word);
    text("name", aboutHer && state.name);
    text("role", aboutHer && state.role);
    text("words", state.words);
    text("reference", state.reference && "Reference " + state.reference);
    $("bar-name").textContent = state.name || "Nobody signed on";
    $("bar-role").textContent = state.role || "";
    document.title = state.name ? state.name + ", " + state.role : "Ward terminal: " + word;

    $("link-mark").className = state.link;
    const clock = state.clock === "unconfirmed" ? " \u00b7 clock not confirmed" : "";
    const standing = (state.link === "online" ? "Online" : "Offline") + " \u00b7 " + age(state.rights_age_s) + clock;
    $("link-words").textContent = screen === "enrolling" ? "Not in service yet" : standing;

    drawPad(state, changed);
    drawChoices(state);
    drawParked(state);
    drawEnrolling(state.enrolling);
    $("actions").hidden = !["open", "dimmed", "warning"].includes(screen);
    const missing = screen === "enrolling" ? [] : state.waits_for.map((what) => MISSING[what] || what);
    text("waits", missing.length ? "Waiting for " + missing.join(", ") : "");
    post("received", { seq: state.seq });
  }

  function drawPad(state, changed) {
    $("pad").hidden = !state.pin;
    if (!state.pin || changed) digits = "";
    if (!state.pin) return dots();
    $("pad-why").textContent = state.pin.why;
    const left = state.pin.attempts;
    $("pad-left").textContent = left === null ? "" : left === 1 ? "1 try left" : left + " tries left";
    dots();
    if (changed) $("pad-dots").focus?.();
  }

  function drawChoices(state) {
    $("choose").hidden = !state.positions.length;
    $("choices").replaceChildren(...state.positions.map((position) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = position.name;
      button.addEventListener("click", () => post("position", { id: position.id }));
      return button;
    }));
  }

  function drawParked(state) {
    $("parked").hidden = !state.parked.length;
    $("parked-lines").replaceChildren(...state.parked.map((line) => {
      const item = document.createElement("li");
      const minutes = Math.max(1, Math.round(line.until_s / 60));
      item.textContent = line.initials + " \u00b7 " + line.role + " \u00b7 kept " + minutes + " min";
      return item;
    }));
  }

  function drawEnrolling(enrolling) {
    const shown = enrolling && ["enrolling", "locked", "waiting"].includes(screen);
    $("enrolling").hidden = !shown;
    if (!shown) return;
    $("enrolling-title").textContent = enrolling.terminal ? "Terminal " + enrolling.terminal : "";
    if (screen !== "enrolling" && enrolling.code) {
      $("enrolling-title").textContent += ": its certificate has lapsed. An operator lets it in again:";
    }
    text("enrolling-code", enrolling.code);
    $("enrolling-steps").replaceChildren(...enrolling.steps.map((step) => {
      const line = document.createElement("li");
      line.className = step.state;
      const [mark, said] = MARKS[step.state] || MARKS.later;
      // What is waited for is said above, large.
      const more = step.state === "waits" ? "" : step.words;
      for (const words of [mark, STEPS[step.name] || step.name, more]) {
        const part = document.createElement("span");
        part.textContent = words;
        line.append(part);
      }
      line.firstChild.setAttribute("role", "img");
      line.firstChild.setAttribute("aria-label", said);
      return line;
    }));
    const machine = [enrolling.mac && "MAC address " + enrolling.mac, enrolling.addresses.length && "Address " + enrolling.addresses.join(", ")];
    $("enrolling-machine").textContent = machine.filter(Boolean).join(" \u00b7 ");
  }

  function press(digit) {
    if (screen !== "pin" || digits.length >= PIN_MOST) return;
    digits += digit;
    dots();
  }

  function enter() {
    if (screen !== "pin" || digits.length < PIN_LEAST) return;
    const pin = digits;
    digits = "";
    dots();
    post("pin", { pin });
  }

  function activity() {
    if (!["open", "dimmed", "warning"].includes(screen)) return;
    const now = performance.now();
    if (screen === "open" && now - lastActivity < ACTIVITY_MS) return;
    lastActivity = now;
    post("activity", {});
  }

  for (const button of document.querySelectorAll("[data-digit]")) {
    button.addEventListener("click", () => press(button.dataset.digit));
  }
  for (const button of document.querySelectorAll("[data-post]")) {
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      digits = "";
      post(button.dataset.post, {});
    });
  }
  $("pad-back").addEventListener("click", () => { digits = digits.slice(0, -1); dots(); });
  $("pad").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
  document.addEventListener("keydown", (event) => {
    if (screen === "pin") {
      if (/^[0-9]$/.test(event.key)) press(event.key);
      else if (event.key === "Backspace") { digits = digits.slice(0, -1); dots(); }
      else if (event.key === "Escape") { digits = ""; post("cancel", {}); }
      else if (event.key === "Enter" && document.activeElement?.tagName !== "BUTTON") enter();
      else return;
      event.preventDefault();
      return;
    }
    if (screen === "choose" && event.key === "Escape") post("cancel", {});
    activity();
  });
  for (const kind of ["pointerdown", "pointermove", "wheel", "touchstart"]) {
    document.addEventListener(kind, activity, { passive: true });
  }

  function heard() {
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
  }

  function again() {
    clearTimeout(silence);
    cover();
    if (stream) stream.close();
    stream = null;
    setTimeout(connect, AGAIN_MS);
  }

  function connect() {
    if (stream) return;
    stream = new EventSource("/state?boot=" + encodeURIComponent(boot));
    stream.addEventListener("message", (event) => { heard(); draw(JSON.parse(event.data)); });
    stream.addEventListener("ping", heard);
    stream.addEventListener("error", again);
    heard();
  }

  cover();
  dots();
  connect();
})();
