// Vectors without a model: texts that share words lie near each other, and the same text always lies in the same place.

/** Of a text, this many words are looked at. */
const MAX_WORDS = 4_096;
const AXES = 17;

export function vectorFor(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const words =
    text
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu)
      ?.slice(0, MAX_WORDS) ?? [];
  for (const word of words.length === 0 ? [text] : words) addWord(vector, word);
  // Words may cancel each other out.
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

/** Each word has a direction of its own: some of the axes, forwards or backwards. */
function addWord(vector: Float32Array, word: string): void {
  let state = hash(word);
  for (let axis = 0; axis < AXES; axis += 1) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const place = (state >>> 1) % vector.length;
    vector[place] = (vector[place] ?? 0) + ((state & 1) === 0 ? 1 : -1);
  }
}

/** FNV-1a; never 0, on which the generator would stand still. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value === 0 ? 1 : value;
}
