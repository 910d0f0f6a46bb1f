import { h } from '../dom.js';
import { actorText, time } from '../format.js';
import { link } from '../router.js';
import { badge, state } from './badge.js';
import { details } from './record-details.js';
import { mappingLink, subject } from './subject.js';
import { table } from './table.js';

/** @typedef {import('../api.js').AuditRecord} AuditRecord */

/** @type {import('./table.js').Column<AuditRecord>[]} */
const COLUMNS = [
  { title: 'Record', kind: 'head', cell: ({ sequence }) => recordLink(sequence) },
  { title: 'Time', cell: (record) => time(record.time) },
  { title: 'Action', cell: actionCell },
  { title: 'Subject', kind: 'wide', cell: subjectCell },
  {
    title: 'Actor',
    kind: 'actor',
    cell: ({ actor }) => h('span', { title: actor.address }, actorText(actor)),
  },
  {
    title: 'Outcome',
    cell: ({ outcome, code, phase }) => (phase === 'intent' ? '' : state(outcome, code)),
  },
  { title: 'Changes', kind: 'wide', cell: details },
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

/** Shows the mapping only when its name differs from the name of the Secret. @param {AuditRecord} record */
function subjectCell(record) {
  const { mapping, secret } = record;
  const named =
    mapping === undefined || mapping === secret
      ? ''
      : h('div', { class: 'small' }, 'mapping ', mappingLink(mapping));
  return [subject(record), named];
}

/** @param {AuditRecord} record */
function actionCell({ action: name, phase, review }) {
  const note = phase === 'intent' ? 'intent' : review?.state;
  // Use one element for the action and its note, so that a card shows them on one line.
  return h('span', {}, name, note !== undefined && h('span', { class: 'phase' }, ` ${note}`));
}

/** @param {AuditRecord} record */
export function reviewOf({ reviewed }) {
  return reviewed?.state ?? 'unreviewed';
}
