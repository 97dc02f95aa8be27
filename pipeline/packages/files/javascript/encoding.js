// From texts to the graph's inputs.

import { offsets } from "./offsets.js";
import { prepared } from "./text.js";

/** An input that the model cannot take. */
export class InputError extends Error {
  name = "InputError";
}

/**
 * Tokens of a text or of a pair, with the special tokens.
 *
 * @typedef {object} Encoding
 * @property {number[]} ids
 * @property {string[]} tokens
 * @property {(0 | 1 | null)[]} sequences which of the two texts each token is of; null for a special token
 * @property {[number, number][]} offsets the stretch of its text that each token covers
 */

/** @returns {Encoding} */
export function encode(tokenizer, text, pair = null) {
  return assemble(tokenizer, plain(tokenizer, text), pair === null ? null : plain(tokenizer, pair));
}

/** `text` in tokens, without special tokens. */
function plain(tokenizer, text) {
  const { ids, tokens } = tokenizer.encode(prepared(tokenizer, text), { add_special_tokens: false });
  return { ids, tokens, offsets: offsets(tokenizer, text, tokens) };
}

/** One text, or two, between the special tokens of BERT: [CLS] first [SEP] second [SEP]. */
function assemble(tokenizer, first, second) {
  const special = (token) => ({
    ids: [tokenizer.token_to_id(token)], tokens: [token], sequences: [null], offsets: [[0, 0]],
  });
  const part = (piece, sequence) => ({ ...piece, sequences: piece.ids.map(() => sequence) });
  const { cls_token: start, sep_token: end } = specialTokens(tokenizer);
  const parts = [special(start), part(first, 0), special(end)];
  if (second !== null) parts.push(part(second, 1), special(end));
  return {
    ids: parts.flatMap((piece) => piece.ids),
    tokens: parts.flatMap((piece) => piece.tokens),
    sequences: parts.flatMap((piece) => piece.sequences),
    offsets: parts.flatMap((piece) => piece.offsets),
  };
}

/** The special tokens by the names of tokenizer_config.json. */
export function specialTokens(tokenizer) {
  const named = (name, usual) => tokenizer.config[name]?.content ?? tokenizer.config[name] ?? usual;
  return {
    cls_token: named("cls_token", "[CLS]"),
    sep_token: named("sep_token", "[SEP]"),
    pad_token: named("pad_token", "[PAD]"),
    mask_token: named("mask_token", "[MASK]"),
  };
}

/** Raise InputError if a text is longer than the model takes. */
export function checkLength(encoding, most) {
  if (encoding.ids.length > most) {
    throw new InputError(
      `The text has ${encoding.ids.length} tokens; this model takes at most ${most}. Shorten it, or split it.`,
    );
  }
}

/** The encoding of one text, cut to `most` tokens; the last special token stays. */
export function truncated(encoding, most) {
  if (encoding.ids.length <= most) return encoding;
  const cut = (values) => [...values.slice(0, most - 1), values.at(-1)];
  return Object.fromEntries(Object.entries(encoding).map(([name, values]) => [name, cut(values)]));
}

/** A pair in windows of at most `most` tokens: all of `first` and a piece of `second` each; the pieces overlap. */
export function windows(tokenizer, first, second, most) {
  const question = plain(tokenizer, first);
  const context = plain(tokenizer, second);
  const room = most - 3 - question.ids.length;
  if (context.ids.length <= room) return [assemble(tokenizer, question, context)];
  if (room < 1) {
    throw new InputError(
      `The question has ${question.ids.length} tokens and leaves no room for the text in a window of ${most}. `
      + "Shorten the question.",
    );
  }
  const step = room - Math.min(Math.floor(most / 2), 128, room - 1);
  const result = [];
  for (let start = 0; ; start += step) {
    const piece = (values) => values.slice(start, start + room);
    result.push(assemble(tokenizer, question, {
      ids: piece(context.ids), tokens: piece(context.tokens), offsets: piece(context.offsets),
    }));
    if (start + room >= context.ids.length) return result;
  }
}

/**
 * Encodings as a batch, padded to one length of at least `low` tokens.
 *
 * @returns {{ids: BigInt64Array, mask: BigInt64Array, rows: number, tokens: number}}
 */
export function pad(tokenizer, encodings, low) {
  const tokens = Math.max(low, ...encodings.map((encoding) => encoding.ids.length));
  const padding = BigInt(tokenizer.token_to_id(specialTokens(tokenizer).pad_token) ?? 0);
  const ids = new BigInt64Array(encodings.length * tokens).fill(padding);
  const mask = new BigInt64Array(encodings.length * tokens);
  encodings.forEach((encoding, row) => encoding.ids.forEach((id, column) => {
    ids[row * tokens + column] = BigInt(id);
    mask[row * tokens + column] = 1n;
  }));
  return { ids, mask, rows: encodings.length, tokens };
}
