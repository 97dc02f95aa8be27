// Answers with the release beside this file.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Tokenizer } from "@huggingface/tokenizers";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { createModel } from "./distilforge/model.js";

export { InputError } from "./distilforge/encoding.js";

const MODEL = new URL("model/", import.meta.url);

/** Load the model; the options are those of ONNX Runtime's InferenceSession. */
export async function open(options = {}) {
  const manifest = await json("manifest.json");
  const [variant] = manifest.variants;
  const sentence = "config_sentence_transformers.json" in manifest.files
    ? await json("config_sentence_transformers.json")
    : null;
  const tokenizer = new Tokenizer(await json("tokenizer.json"), await json("tokenizer_config.json"));
  const session = await InferenceSession.create(fileURLToPath(new URL(variant.files[0], MODEL)), {
    executionProviders: ["cpu"],
    logSeverityLevel: 3,
    ...options,
    // The answers were validated with these settings
    extra: { ...options.extra, ...variant.session },
  });
  const run = (feeds) => session.run(
    Object.fromEntries(
      Object.entries(feeds).map(([name, { data, dims }]) => [name, new Tensor("int64", data, dims)]),
    ),
  );
  const model = createModel({ manifest, tokenizer, run, sentence });
  return { ...model, close: () => session.release() };
}

let opened = null;

/** The answer to one input; the first call loads the model, and the next one tries again if that failed. */
export default async function answer(input) {
  opened ??= open().catch((error) => {
    opened = null;
    throw error;
  });
  return (await opened).answer(input);
}

async function json(name) {
  return JSON.parse(await readFile(new URL(name, MODEL), "utf8"));
}
