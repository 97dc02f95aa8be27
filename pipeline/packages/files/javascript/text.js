// Texts as the tokenizer of Hugging Face for JavaScript must get them to answer the tokens that the release was
// validated with.

// Those that a normalizer puts between spaces, as it does with the ideographs below U+10000
const HIGH_IDEOGRAPHS = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
const IDEOGRAPH = "\u4e00";
const SIGMA = "\u03a3";

/** `text` for the tokenizer; what is an added token, such as [MASK], stays as it is. */
export function prepared(tokenizer, text) {
  return [...pieces(tokenizer, text)]
    .map(([, piece, isAdded]) => (isAdded ? piece : readable(tokenizer, piece)))
    .join("");
}

/**
 * `text`, in which the normalizer finds nothing that JavaScript would do otherwise.
 *
 * JavaScript makes another letter of a capital sigma at the end of a word, and the tokenizer overlooks ideographs that
 * are two UTF-16 units.
 */
export function readable(tokenizer, text) {
  const normalize = (character) => tokenizer.normalizer?.normalize(character) ?? character;
  const lowered = text.replaceAll(SIGMA, normalize(SIGMA));
  return normalize(IDEOGRAPH) === ` ${IDEOGRAPH} ` ? lowered.replace(HIGH_IDEOGRAPHS, " $& ") : lowered;
}

/** `text` in pieces: added tokens, such as [MASK], and what is between them. */
export function* pieces(tokenizer, text) {
  const added = [...tokenizer.get_added_tokens_decoder().values()].map((token) => token.content);
  let start = 0;
  for (let index = 0; index < text.length; index += 1) {
    const token = added.find((content) => text.startsWith(content, index));
    if (token === undefined) continue;
    if (index > start) yield [start, text.slice(start, index), false];
    yield [index, token, true];
    start = index + token.length;
    index = start - 1;
  }
  if (start < text.length) yield [start, text.slice(start), false];
}
