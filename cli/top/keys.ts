/**
 * What a terminal sends, as keys. Pure. A printable character is its own name; the others have names of several letters.
 * Sequences that are not known are swallowed whole, so that none of their letters counts as a key.
 */

export type Key = string;

/** Control characters and what follows ESC, from ECMA-48 and xterm. */
const NAMES: Record<string, Key> = {
  '\r': 'enter',
  '\n': 'enter',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u0003': 'ctrl-c',
  '\u000c': 'ctrl-l',
  '\u0015': 'ctrl-u',
  '\u001a': 'ctrl-z',
  '\u001c': 'ctrl-backslash',
  '[A': 'up',
  '[B': 'down',
  '[C': 'right',
  '[D': 'left',
  '[H': 'home',
  '[F': 'end',
  '[1~': 'home',
  '[7~': 'home',
  '[4~': 'end',
  '[8~': 'end',
  '[5~': 'page-up',
  '[6~': 'page-down',
  OA: 'up',
  OB: 'down',
  OC: 'right',
  OD: 'left',
  OH: 'home',
  OF: 'end',
};
const ESC = '\u001b';
/** A control sequence after its ESC: parameters, intermediate characters, and a final one. */
const SEQUENCE = /^(?:\[[0-?]*[ -/]*[@-~]|O[ -~])/;
/** The beginning of one. */
const BEGUN = /^(?:\[[0-?]*[ -/]*|O)?$/;
/** A sequence longer than this is none. */
const MAX_SEQUENCE = 32;
const UNKNOWN: Key = 'unknown';

/**
 * The keys in what was read; `rest` is the beginning of a sequence whose end has not come yet. When nothing more comes
 * within a moment it was the Escape key: then `isComplete` is true.
 */
export function readKeys(text: string, isComplete = false): { keys: Key[]; rest: string } {
  const keys: Key[] = [];
  let index = 0;
  while (index < text.length) {
    if (text[index] !== ESC) {
      const character = String.fromCodePoint(text.codePointAt(index)!);
      index += character.length;
      keys.push(NAMES[character] ?? (/\p{C}/u.test(character) ? UNKNOWN : character));
      continue;
    }
    const after = text.slice(index + 1, index + 1 + MAX_SEQUENCE);
    const sequence = SEQUENCE.exec(after)?.[0];
    if (sequence !== undefined) {
      keys.push(NAMES[sequence] ?? UNKNOWN);
      index += 1 + sequence.length;
    } else if (BEGUN.test(after) && !isComplete) {
      return { keys, rest: text.slice(index) };
    } else {
      keys.push('escape');
      index++;
    }
  }
  return { keys, rest: '' };
}
