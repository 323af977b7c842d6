// Builds the kiosk's page into the folder named on the command line: one style, one script, the
// page and its catalogue. `scripts/build-page` calls it when a source has changed.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, transform } from "esbuild";
import { compileAsync } from "sass";

const page = "firmware_py/kiosk/page";
const built = process.argv[2];
// Debian 12's oldest Chromium; a terminal's is newer.
const target = ["chrome120"];

await mkdir(built, { recursive: true });

const style = await compileAsync(join(page, "styles/kiosk.scss"), {
  loadPaths: ["node_modules"],
  quietDeps: true,
});
const small = await transform(style.css, { loader: "css", minify: true, target, charset: "utf8" });
await writeFile(join(built, "kiosk.css"), small.code);

await build({
  entryPoints: [join(page, "modules/kiosk.js")],
  outfile: join(built, "kiosk.js"),
  bundle: true,
  minify: true,
  format: "iife",
  target,
  charset: "utf8",
  legalComments: "eof",
  logLevel: "warning",
});

await copyFile(join(page, "index.html"), join(built, "index.html"));
const welsh = JSON.parse(await readFile(join(page, "cy.json"), "utf8"));
await writeFile(join(built, "cy.json"), JSON.stringify(welsh));
