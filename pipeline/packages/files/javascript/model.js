// A release's model: the tokenizer, an engine, and the head's function.

import { InputError, pad } from "./encoding.js";
import { HEADS } from "./heads.js";

/**
 * A model that answers inputs.
 *
 * @param {object} parts
 * @param {object} parts.manifest the content of manifest.json
 * @param {import("@huggingface/tokenizers").Tokenizer} parts.tokenizer
 * @param {(feeds: Record<string, {data: BigInt64Array, dims: number[]}>) => Promise<Record<string, object>>} parts.run
 *   runs the graph: tensors by the names of its inputs, and by those of its outputs
 * @param {object | null} [parts.sentence] config_sentence_transformers.json, if the release has it
 */
export function createModel({ manifest, tokenizer, run, sentence = null }) {
  const { batch, choices, sequence } = manifest.spans;
  if (batch.low > 1) {
    throw new Error(`This model takes batches of ${batch.low} and more; this package answers one input at a time.`);
  }
  const answer = HEADS[manifest.head];
  if (answer === undefined) throw new Error(`The head ${manifest.head} is unknown to this package.`);
  const model = {
    manifest,
    tokenizer,
    mostTokens: Math.min(sequence.high, tokenizer.config.model_max_length ?? Infinity),
    prompt: sentence?.prompts?.[sentence.default_prompt_name] ?? "",
  };
  const through = (runFeeds) => ({
    ...model,
    run: (encodings) => {
      const { ids, mask, rows, tokens } = pad(tokenizer, encodings, sequence.low);
      const dims = choices === undefined ? [rows, tokens] : [1, rows, tokens];
      return runFeeds({ input_ids: { data: ids, dims }, attention_mask: { data: mask, dims } });
    },
  });
  return {
    manifest,
    /** The answer to one input. */
    answer: async (input) => answer(through(run), checked(input)),
    /** The answer, with the tensors that went into the graph and came out of it. */
    trace: async (input) => {
      const calls = [];
      const record = async (feeds) => {
        const outputs = await run(feeds);
        calls.push({ feeds, outputs });
        return outputs;
      };
      return { answer: await answer(through(record), checked(input)), calls };
    },
  };
}

/** `input`, if it is a text, or a list of texts and of lists of texts. */
function checked(input) {
  const isInput = (value) => typeof value === "string" || (Array.isArray(value) && value.length > 0);
  if (isInput(input) && (typeof input === "string" || input.every(isInput))) return input;
  const found = JSON.stringify(input) ?? String(input);
  throw new InputError(`an input is a text, or a list such as a pair of texts; found ${found.slice(0, 80)}`);
}
