// Prints the answers of one client as JSON. Usage: node answers.mjs CLIENT CASES.json

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { onnxruntime, transformers } from "./clients.mjs";
import { inBrowser, serve } from "./serve.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));

const CLIENTS = {
  "transformers-node": async (cases) => transformers(await import("@huggingface/transformers"), cases),
  "onnxruntime-node": async (cases) => onnxruntime(await import("onnxruntime-node"), cases, {
    graph: (path) => path, provider: "cpu",
  }),
  "transformers-chromium": (cases) => inChromium(cases, async ({ cases: served, base }) => {
    const ort = await import("onnxruntime-web/webgpu");
    ort.env.wasm.wasmPaths = `${base}modules/onnxruntime-web/dist/`;
    const library = await import("@huggingface/transformers");
    const { transformers: answer } = await import(`${base}tests/clients.mjs`);
    return answer(library, served);
  }),
  "onnxruntime-web": (cases) => inChromium(cases, async ({ cases: served, base }) => {
    const ort = await import("onnxruntime-web/webgpu");
    ort.env.wasm.wasmPaths = `${base}modules/onnxruntime-web/dist/`;
    const { onnxruntime: answer } = await import(`${base}tests/clients.mjs`);
    const graph = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    return answer(ort, served, { graph, provider: "wasm" });
  }),
};

/** Call `answer` in Chromium, with the cases as they are served there. */
async function inChromium(cases, answer) {
  const folders = Object.fromEntries(cases.map(({ name, folder }) => [name, folder]));
  const base = await serve({ ...folders, modules: `${HERE}node_modules`, tests: HERE });
  // transformers.js looks for the tokenizer under a path, and not under a whole address
  const served = cases.map((one) => ({ ...one, folder: `/${one.name}/` }));
  return inBrowser(async (page, problems) => {
    await page.goto(`${base}tests/browser.html`);
    const answers = await page.evaluate(answer, { cases: served, base });
    const serious = problems.filter((problem) => !problem.includes("404"));
    if (serious.length > 0) throw new Error(serious.join("\n"));
    return answers;
  });
}

const [, , client, path] = process.argv;
const answers = await CLIENTS[client](JSON.parse(await readFile(path, "utf8")));
// A pipe takes the text in pieces, and an engine's threads would keep the process alive
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
