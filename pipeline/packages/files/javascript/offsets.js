// Which characters of a text each token covers, which the tokenizer of Hugging Face for JavaScript does not tell.

import { pieces, readable } from "./text.js";

const PUNCTUATION = /[\p{P}\u0021-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007e]/u;

/**
 * The stretch [start, end) of `text` that each of `tokens` covers, in UTF-16 units.
 *
 * @param {import("@huggingface/tokenizers").Tokenizer} tokenizer a WordPiece tokenizer
 * @param {string} text
 * @param {string[]} tokens the tokens of `text`, without those that the tokenizer adds
 * @returns {[number, number][]}
 */
export function offsets(tokenizer, text, tokens) {
  const { characters, stretches } = normalized(tokenizer, text);
  const prefix = tokenizer.model.config.continuing_subword_prefix;
  const unknown = tokenizer.model.unk_token;
  const result = [];
  let position = 0;
  for (const token of tokens) {
    while (position < characters.length && characters[position].trim() === "") position += 1;
    const length = token === unknown && characters[position] !== token
      ? wordLength(characters, position)
      : matchLength(characters, position, token.startsWith(prefix) ? token.slice(prefix.length) : token);
    const first = stretches[position] ?? [text.length, text.length];
    const last = stretches[position + length - 1] ?? first;
    result.push([first[0], last[1]]);
    position += length;
  }
  return result;
}

/** The characters of `text` as the model reads them, and the stretch of `text` that each comes from. */
function normalized(tokenizer, text) {
  const characters = [];
  const stretches = [];
  for (const [start, piece, isAdded] of pieces(tokenizer, text)) {
    if (isAdded) {
      characters.push(piece);
      stretches.push([start, start + piece.length]);
      continue;
    }
    let position = start;
    for (const character of piece) {
      const end = position + character.length;
      for (const part of tokenizer.normalizer?.normalize(readable(tokenizer, character)) ?? character) {
        characters.push(part);
        stretches.push([position, end]);
      }
      position = end;
    }
  }
  return { characters, stretches };
}

/** How many characters from `position` spell `surface`. */
function matchLength(characters, position, surface) {
  let length = 0;
  let spelled = "";
  while (spelled.length < surface.length && position + length < characters.length) {
    spelled += characters[position + length];
    length += 1;
  }
  return Math.max(length, 1);
}

/** How many characters the word at `position` has; a punctuation character is a word of its own. */
function wordLength(characters, position) {
  if (PUNCTUATION.test(characters[position] ?? "")) return 1;
  let length = 0;
  while (
    position + length < characters.length
    && characters[position + length].trim() !== ""
    && !PUNCTUATION.test(characters[position + length])
  ) length += 1;
  return Math.max(length, 1);
}
