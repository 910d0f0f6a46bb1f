import { h } from '../dom.js';
import { link } from '../router.js';

/** Links to the subject of a record. @param {import('../api.js').AuditRecord} record */
export function subject({ namespace, secret, store, key, sources, review }) {
  if (namespace !== undefined && secret !== undefined) return targetLink(namespace, secret);
  if (store !== undefined) return sourceLink(store, key);
  if (review !== undefined)
    return h('a', { href: link(['records', review.sequence]) }, `record ${review.sequence}`);
  const [first] = sources;
  return first === undefined ? '' : sourceLink(first.store, first.key);
}

/** @param {string} namespace @param {string} secret */
export function targetLink(namespace, secret) {
  const name = [h('span', { class: 'muted' }, `${namespace}/`), secret];
  return h('a', { href: link(['targets', namespace, secret]), class: 'name' }, ...name);
}

/** @param {string} store @param {string} [key] */
export function sourceLink(store, key) {
  const name = [h('span', { class: 'muted' }, `${store}: `), key ?? 'all keys'];
  return h('a', { href: link(['records'], { store, key }), class: 'name' }, ...name);
}

/** @param {string} name */
export function mappingLink(name) {
  return h('a', { href: link(['mappings', name]), class: 'name' }, name);
}

/**
 * Draws the added, changed and removed keys like `audit list` prints them.
 * @param {import('../api.js').AuditRecord['keys']} keys
 */
export function changes({ added, changed, removed }) {
  const parts = [
    { sign: '+', word: 'added', names: added },
    { sign: '~', word: 'changed', names: changed },
    { sign: '−', word: 'removed', names: removed },
  ].filter(({ names }) => names.length > 0);
  return parts.map(({ sign, word, names }) =>
    h(
      'span',
      { class: `keys ${word}`, title: `${word}: ${names.join(', ')}` },
      h('span', { class: 'visually-hidden' }, `${word}: `),
      h('span', { 'aria-hidden': 'true' }, sign),
      names.length > 3 ? `${names.slice(0, 2).join(', ')} and ${names.length - 2} more` : names.join(', '),
    ),
  );
}
