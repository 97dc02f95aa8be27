// Loads the release beside this page: five heads through transformers.js, multiple choice through ONNX Runtime Web.

import { Tokenizer } from "@huggingface/tokenizers";
import {
  AutoModel,
  AutoModelForMaskedLM,
  AutoModelForQuestionAnswering,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  env,
  Tensor,
} from "@huggingface/transformers";
import * as ort from "onnxruntime-web/webgpu";
import { createModel } from "./distilforge/model.js";

const HERE = new URL("./", import.meta.url);
const MODEL = "model";
const CLASSES = {
  features: AutoModel,
  masked_lm: AutoModelForMaskedLM,
  question_answering: AutoModelForQuestionAnswering,
  sequence_classification: AutoModelForSequenceClassification,
  token_classification: AutoModelForTokenClassification,
};

// transformers.js asks its hub for models, and a CDN for the engine, unless it is told where they are
env.allowRemoteModels = false;
env.allowLocalModels = true;
// A path: under a whole address it does not look for a tokenizer
env.localModelPath = HERE.pathname;
// Its caches are keyed by address alone, and would answer with the last release after a new one is deployed
env.useBrowserCache = false;
env.useWasmCache = false;
// The browser's own cache asks the server whether a file is still the same, so that no page mixes two releases
const fetchPresent = (address, options) => fetch(address, { ...options, cache: "no-cache" });
env.fetch = fetchPresent;
ort.env.wasm.wasmPaths = {
  mjs: new URL("vendor/ort-wasm-simd-threaded.js", HERE).href,
  wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", HERE).href,
};

/** The release's description: the manifest, and what settings.json says about this package. */
export async function describe() {
  const [manifest, settings] = await Promise.all([json("model/manifest.json"), json("settings.json")]);
  return { manifest, settings };
}

/**
 * The model of the release.
 *
 * @param {{manifest: object, settings: object}} description
 * @param {(received: number, total: number) => void} onProgress bytes of the graph
 */
export async function load({ manifest, settings }, onProgress = () => {}) {
  const [tokenizerFile, tokenizerConfig, sentence] = await Promise.all([
    json("model/tokenizer.json"),
    json("model/tokenizer_config.json"),
    "config_sentence_transformers.json" in manifest.files ? json("model/config_sentence_transformers.json") : null,
  ]);
  const tokenizer = new Tokenizer(tokenizerFile, tokenizerConfig);
  const run = manifest.head in CLASSES
    ? await withTransformers(manifest, settings, onProgress)
    : await withOnnxRuntime(settings, onProgress);
  return createModel({ manifest, tokenizer, run, sentence });
}

async function withTransformers(manifest, settings, onProgress) {
  const model = await CLASSES[manifest.head].from_pretrained(MODEL, {
    dtype: settings.dtype,
    device: "wasm",
    progress_callback: ({ status, file, loaded, total }) => {
      if (status === "progress" && file === settings.graph) onProgress(loaded, total);
    },
  });
  return (feeds) => model(tensors(feeds, Tensor));
}

async function withOnnxRuntime(settings, onProgress) {
  const session = await ort.InferenceSession.create(await bytes(`model/${settings.graph}`, onProgress), {
    executionProviders: ["wasm"],
  });
  return (feeds) => session.run(tensors(feeds, ort.Tensor));
}

/** `feeds` as tensors; each of the two libraries wants its own class. */
function tensors(feeds, TensorClass) {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { data, dims }]) => [name, new TensorClass("int64", data, dims)]),
  );
}

async function json(path) {
  return (await get(path)).json();
}

async function bytes(path, onProgress) {
  const response = await get(path);
  const total = Number(response.headers.get("Content-Length"));
  const chunks = [];
  let received = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    received += value.length;
    onProgress(received, total);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function get(path) {
  const response = await fetchPresent(new URL(path, HERE));
  if (!response.ok) throw new Error(`The server answered ${response.status} for ${path}.`);
  return response;
}
