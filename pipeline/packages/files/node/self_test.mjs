// Answers the examples of the package and compares with the validated answers.
// Exits with 0 if the answers are right, with 1 if one is wrong, and with 3 if a dependency is not installed.

import { readFile } from "node:fs/promises";
import { checkExample } from "./distilforge/check.js";

const read = async (name) => JSON.parse(await readFile(new URL(name, import.meta.url), "utf8"));

async function client() {
  try {
    return await import("./index.js");
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write(`${error.message}\nInstall the dependencies first: ONNXRUNTIME_NODE_INSTALL=skip npm install --omit=dev\n`);
    return process.exit(3);
  }
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
