// Answers the examples of the package and compares with the validated answers.
// Exits with 0 if the answers are right, with 1 if one is wrong, and with 3 if a dependency is not installed.

import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { checkExample } from "./distilforge/check.js";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const RECORD = "package-record.json";
// What npm and its likes add
const ADDED = ["node_modules", "package-lock.json", "yarn.lock", "pnpm-lock.yaml"];
const read = async (name) => JSON.parse(await readFile(new URL(name, import.meta.url), "utf8"));

async function names(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".") || (folder === ROOT && ADDED.includes(entry.name))) continue;
    if (entry.isDirectory()) found.push(...await names(path));
    else found.push(relative(ROOT, path).split(sep).join("/"));
  }
  return found;
}

// What is wrong with the files of the package; undefined if they are those of package-record.json
async function problem() {
  let files;
  try {
    files = Object.entries((await read(RECORD)).files);
  } catch (error) {
    return `${RECORD} cannot be read (${error.message})`;
  }
  for (const [name, { sha256 }] of files) {
    let content;
    try {
      content = await readFile(join(ROOT, name));
    } catch {
      return `${name} is missing`;
    }
    if (createHash("sha256").update(content).digest("hex") !== sha256) return `${name} does not have the SHA-256 that ${RECORD} lists`;
  }
  const listed = new Set([RECORD, ...files.map(([name]) => name)]);
  const other = (await names(ROOT)).find((name) => !listed.has(name));
  return other && `${other} is not one of the package's files`;
}

async function client() {
  try {
    return await import("./index.js");
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write(`${error.message}\nInstall the dependencies first: ONNXRUNTIME_NODE_INSTALL=skip npm install --omit=dev\n`);
    return process.exit(3);
  }
}

const damage = await problem();
if (damage) {
  process.stderr.write(`${damage}; take the package again\n`);
  process.exit(1);
}
const begin = performance.now();
const { open } = await client();
const model = await open();
const { examples } = await read("examples.json");
const { dependencies } = await read("package.json");
const isExact = model.manifest.variants[0].precision === "fp32";
let startSeconds = 0;
let largestError = 0;
for (const example of examples) {
  largestError = Math.max(largestError, await checkExample(model, example, { isExact }));
  startSeconds ||= (performance.now() - begin) / 1000;
}
process.stdout.write(`${JSON.stringify({
  client: `onnxruntime-node ${dependencies["onnxruntime-node"]}`,
  start_seconds: Number(startSeconds.toFixed(3)),
  examples: examples.length,
  largest_error: largestError,
})}\n`);
