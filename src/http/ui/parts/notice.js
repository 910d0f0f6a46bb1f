import { ApiError } from '../api.js';
import { h, withCode } from '../dom.js';
import { code } from './badge.js';

/**
 * @param {'good' | 'warn' | 'bad' | 'plain'} tone
 * @param {...import('../dom.js').Child} children
 */
export function notice(tone, ...children) {
  return h('div', { class: `notice ${tone}` }, ...children);
}

/** Draws an error of the service with its remedy. @param {unknown} error */
export function problem(error) {
  if (!(error instanceof ApiError)) throw error;
  return h(
    'div',
    { class: 'notice bad', role: 'alert' },
    h('p', {}, h('strong', {}, withCode(sentence(error.message))), ' ', code(error.code)),
    error.remedy !== '' && h('p', {}, withCode(error.remedy)),
    error.requestId !== undefined && h('p', { class: 'muted' }, 'Request ', h('code', {}, error.requestId)),
  );
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} text @param {...import('../dom.js').Child} more */
export function empty(text, ...more) {
  return h('div', { class: 'empty' }, h('p', {}, text), ...more);
}
