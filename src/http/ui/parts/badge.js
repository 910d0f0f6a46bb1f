import { tone } from '../constants.js';
import { h } from '../dom.js';

/** Draws a word with a color. The color adds no information to the word. @param {string} word */
export function badge(word) {
  return h('span', { class: `badge ${tone(word)}` }, word);
}

/** Draws a state, and the error code that explains it. @param {string} word @param {string | undefined} error */
export function state(word, error) {
  return h('span', { class: 'state' }, badge(word), code(error));
}

/** Draws an error code as text that users can search for. @param {string | undefined} code */
export function code(code) {
  return code === undefined ? undefined : h('code', { class: 'code' }, code);
}
