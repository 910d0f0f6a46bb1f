import { h } from '../dom.js';
import { tone } from '../words.js';

/** A word with a colour; the word alone says it all. @param {string} word */
export function badge(word) {
  return h('span', { class: `badge ${tone(word)}` }, word);
}

/** How something is, and the code of why. @param {string} word @param {string | undefined} error */
export function state(word, error) {
  return h('span', { class: 'state' }, badge(word), code(error));
}

/** An error code, which people search for. @param {string | undefined} code */
export function code(code) {
  return code === undefined ? undefined : h('code', { class: 'code' }, code);
}
