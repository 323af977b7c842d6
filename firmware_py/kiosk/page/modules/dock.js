// The dock: what anybody may do at this screen, in the same place on every face.

import { $, button, redraw } from "./dom.js";
import { speaks, t } from "./words.js";
import { post } from "./link.js";
import { glassButton } from "./glass.js";

// An offer too, once it was turned down: its reference stands there for a while.
const RESTING = ["locked", "waiting", "refused", "notice", "offer"];

/** `acts`: clean, information, open (a sheet), speak (a language). */
export function drawDock(state, acts) {
  const { panels, covered, screen } = state;
  const mine = !covered && Boolean(state.name);
  const { layout } = document.body.dataset;
  const resting = (RESTING.includes(screen) || mine) && layout !== "pad";
  // Also where a PIN is owed: whoever has forgotten it stands there.
  const glass = panels.breakglass?.offered && covered && (resting || ["pin", "choose"].includes(screen));
  const hold = panels.hold?.allowed && panels.hold.left_s === null && mine;
  const downtime = panels.downtime?.state === "offered" && resting;
  // A question has the whole glass, and its own way out.
  $("dock").hidden = layout === "sheet" || !(resting || glass);
  redraw($("dock"), [resting, mine, glass, hold, downtime, speaks()], () => {
    const emergency = glass && glassButton(panels.breakglass, acts.open);
    if (emergency) emergency.id = "do-emergency";
    if (!resting) return [emergency];
    return [
      button(t("Clean screen"), acts.clean, { kind: "secondary", icon: "drop", id: "do-clean" }),
      button(t("Information"), acts.information, { kind: "secondary", icon: "info", id: "do-information" }),
      button(t("Help with a card"), () => acts.open({ kind: "help" }), { kind: "secondary", icon: "card", id: "do-help" }),
      language(acts),
      hold && button(t("Hold open"), () => post("hold"), { kind: "secondary", icon: "pair", id: "do-hold" }),
      downtime &&
        button(t("Downtime"), () => acts.open({ kind: "confirm downtime" }), { kind: "secondary", icon: "stripes", id: "do-downtime" }),
      emergency,
    ];
  });
}

/** Each language by its own name, for whoever cannot read the other. */
function language(acts) {
  const [code, name] = speaks() === "cy" ? ["en", "English"] : ["cy", "Cymraeg"];
  return button(name, () => acts.speak(code), { kind: "secondary", icon: "note", id: "do-language", lang: code });
}
