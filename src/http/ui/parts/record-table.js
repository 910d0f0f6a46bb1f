import { h } from '../dom.js';
import { number, time, who } from '../format.js';
import { link } from '../router.js';
import { badge, state } from './badge.js';
import { changes, mappingLink, subject } from './subject.js';
import { table } from './table.js';

/** @typedef {import('../api.js').AuditRecord} AuditRecord */

/** @type {import('./table.js').Column<AuditRecord>[]} */
const COLUMNS = [
  { title: 'Record', kind: 'head', cell: ({ sequence }) => recordLink(sequence) },
  { title: 'Time', cell: (record) => time(record.time) },
  { title: 'Action', cell: action },
  { title: 'About', kind: 'wide', cell: about },
  { title: 'By', kind: 'by', cell: ({ actor }) => h('span', { title: actor.address }, who(actor)) },
  {
    title: 'Outcome',
    cell: ({ outcome, code, phase }) => (phase === 'intent' ? '' : state(outcome, code)),
  },
  { title: 'What', kind: 'wide', cell: what },
  { title: 'Review', cell: (record) => (record.action === 'review' ? '' : badge(reviewOf(record))) },
];

/** @param {string} caption @param {readonly AuditRecord[]} records */
export function recordTable(caption, records) {
  return table(caption, COLUMNS, records, ({ phase }) => phase);
}

/** @param {number} sequence */
export function recordLink(sequence) {
  return h('a', { href: link(['records', sequence]), class: 'sequence' }, `#${sequence}`);
}

/** A mapping is mostly called as its Secret is. @param {AuditRecord} record */
function about(record) {
  const { mapping, secret } = record;
  const named =
    mapping === undefined || mapping === secret
      ? ''
      : h('div', { class: 'small' }, 'mapping ', mappingLink(mapping));
  return [subject(record), named];
}

/** @param {AuditRecord} record */
function what({ action: name, keys, note, counts = {} }) {
  const words = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([of, count]) => `${number(count)} ${of}`);
  return [
    ...changes(keys),
    words.length === 0 ? '' : h('span', { class: 'muted' }, `${words.join(', ')} `),
    // That of a reading is for programs.
    note === undefined || name === 'read' ? '' : h('q', { class: 'note' }, note),
  ];
}

/** @param {AuditRecord} record */
function action({ action: name, phase, review }) {
  const note = phase === 'intent' ? 'intent' : review?.state;
  // As one, so that a card has both on one line.
  return h('span', {}, name, note !== undefined && h('span', { class: 'phase' }, ` ${note}`));
}

/** @param {AuditRecord} record */
export function reviewOf({ reviewed }) {
  return reviewed?.state ?? 'unreviewed';
}
