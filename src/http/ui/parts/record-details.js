import { h } from '../dom.js';
import { number, pluralize, time } from '../format.js';
import { changes } from './subject.js';

/** @typedef {import('../api.js').AuditRecord} AuditRecord */

/** The number of changed fields in a table cell. The record view shows all. */
const FIELDS_IN_CELL = 2;

/**
 * Describes what a record is about besides its subject: keys, changed fields, counts, failed reads and the note. Never
 * empty for a change.
 * @param {AuditRecord} record
 * @returns {import('../dom.js').Child[]}
 */
export function details(record) {
  const { action, keys, note, counts = {}, phase, sources, outcome } = record;
  const words = Object.entries(counts)
    .filter(([name, count]) => name !== 'changesLeftOut' && (count > 0 || action === 'restart'))
    .map(([name, count]) => `${number(count)} ${name}`);
  const version = action === 'read' && outcome === 'ok' ? sources[0]?.version : undefined;
  const parts = [
    ...changes(keys),
    ...changedFields(record),
    words.length > 0 && h('span', { class: 'muted' }, `${words.join(', ')} `),
    version !== undefined && h('span', { class: 'muted' }, 'version ', h('code', { class: 'hash' }, version)),
    failedReads(record),
    // Omit the note of a `read` record, because such a note is written for programs.
    note !== undefined && action !== 'read' && h('q', { class: 'note' }, note),
  ].filter((part) => part !== false && part !== undefined);
  return parts.length === 0 && phase !== undefined
    ? [h('span', { class: 'muted' }, 'no data changed')]
    : parts;
}

/** @param {AuditRecord} record */
function changedFields({ changes: fields = [], counts = {} }) {
  const shown = fields
    .slice(0, FIELDS_IN_CELL)
    .map((field) => h('div', { class: 'field' }, ...change(field)));
  const more = fields.length - shown.length + (counts.changesLeftOut ?? 0);
  return more === 0 ? shown : [...shown, h('div', { class: 'muted' }, `and ${number(more)} more`)];
}

/** @param {AuditRecord} record */
function failedReads({ count = 0, since }) {
  if (count < 2 || since === undefined) return undefined;
  return h('div', { class: 'muted' }, `${pluralize(count, 'failed read')} since `, time(since));
}

/** Draws all changed fields of a configuration. @param {AuditRecord} record */
export function fieldsCard({ changes: fields = [], counts = {} }) {
  if (fields.length === 0) return undefined;
  const { changesLeftOut = 0 } = counts;
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'fields' },
    h('h2', { id: 'fields' }, 'Changed fields'),
    h('ul', { class: 'fields' }, ...fields.map((field) => h('li', {}, ...change(field)))),
    changesLeftOut > 0 &&
      h('p', { class: 'muted' }, `${pluralize(changesLeftOut, 'other field')} changed too.`),
  );
}

/** @param {{ path: string, before?: string, after?: string }} field */
function change({ path, before, after }) {
  const value = (/** @type {string | undefined} */ text) =>
    text === undefined ? h('span', { class: 'muted' }, 'none') : h('code', {}, text);
  return [h('code', { class: 'name' }, path), ': ', value(before), ' → ', value(after)];
}

/**
 * The facts that only the records of reads and of configurations have.
 * @param {AuditRecord} record
 * @returns {[string, import('../dom.js').Child][]}
 */
export function extraFacts({ count, since, configHash, revision }) {
  return [
    ['Failed reads', count === undefined ? undefined : number(count)],
    ['Failing since', since === undefined ? undefined : time(since, { long: true })],
    ['Revision', revision],
    ['Configuration hash', configHash && h('code', { class: 'hash' }, configHash)],
  ];
}
