import { get } from '../api.js';
import { h } from '../dom.js';
import { milliseconds, number, time, utc, who } from '../format.js';
import { badge, state } from '../parts/badge.js';
import { rollBack } from '../parts/pins.js';
import { proof } from '../parts/proof.js';
import { recordLink } from '../parts/record-table.js';
import { review } from '../parts/review.js';
import { mappingLink, sourceLink, subject, targetLink } from '../parts/subject.js';
import { facts, table } from '../parts/table.js';
import { link } from '../router.js';

/**
 * @typedef {import('../api.js').AuditRecord} AuditRecord
 * @typedef {import('../api.js').RecordDetail} RecordDetail
 */

/** @type {import('../frame.js').View} */
export const recordView = {
  title: ({ path }) => `Record ${path[1] ?? ''}`,
  refresh: 'never',
  load: ({ path }, signal) => get(`api/v1/audit/records/${encodeURIComponent(path[1] ?? '')}`, {}, signal),
  draw(/** @type {RecordDetail} */ record, _, context) {
    return [
      steps(record),
      h('div', { class: 'halves' }, ...halves(record, record.counterpart)),
      keysCard(record.keys),
      valuesCard(record.values),
      sourcesCard(record.sources),
      rollBack(record, context),
      record.action === 'review' ? undefined : review(record, context),
      chainCard(record),
    ];
  },
};

/** @param {RecordDetail} record */
function steps({ chain: { previous, next } }) {
  return h(
    'nav',
    { class: 'steps', 'aria-label': 'Neighbours' },
    previous !== undefined && h('a', { href: link(['records', previous]) }, `← Record ${previous}`),
    h('a', { href: link(['records']) }, 'All records'),
    next !== undefined && h('a', { href: link(['records', next]) }, `Record ${next} →`),
  );
}

/** @param {AuditRecord} record @param {AuditRecord | undefined} other */
function halves(record, other) {
  if (record.phase === undefined) return [half('What happened', record, record)];
  const [intent, outcome] = record.phase === 'intent' ? [record, other] : [other, record];
  const none = (/** @type {string} */ title, /** @type {string} */ text) =>
    h('section', { class: 'card' }, h('h2', {}, title), h('p', { class: 'muted' }, text));
  return [
    intent === undefined
      ? none('Intent', 'Its intent is no longer in the store.')
      : half('Intent', intent, record),
    outcome === undefined
      ? none('Outcome', 'None yet: the run goes on, or the cluster could not be looked at after a crash.')
      : half('Outcome', outcome, record),
  ];
}

/** @param {string} title @param {AuditRecord} one @param {AuditRecord} current */
function half(title, one, current) {
  const { actor, requestId, counts = {}, namespace, secret } = one;
  return h(
    'section',
    { class: `card${one === current ? ' current' : ''}` },
    h('h2', {}, title, one === current ? '' : h('span', { class: 'aside' }, recordLink(one.sequence))),
    facts([
      ['Time', [time(one.time, { long: true }), h('span', { class: 'muted' }, ` ${utc(one.time)}`)]],
      ['Action', one.action],
      ['Outcome', one.phase === 'intent' ? undefined : state(one.outcome, one.code)],
      [
        'By',
        h(
          'span',
          {},
          who(actor),
          actor.address === undefined ? '' : h('span', { class: 'muted' }, ` from ${actor.address}`),
        ),
      ],
      ['Mapping', one.mapping === undefined ? undefined : mappingLink(one.mapping)],
      ['Target', namespace === undefined || secret === undefined ? undefined : targetLink(namespace, secret)],
      ['Source', one.store === undefined ? undefined : sourceLink(one.store, one.key)],
      ['Review of', one.review === undefined ? undefined : subject(one)],
      ['Now', one.review && badge(one.review.state)],
      ['Note', one.note && h('q', { class: 'note' }, one.note)],
      ...Object.entries(counts).map(([name, count]) => /** @type {const} */ ([name, number(count)])),
      ['Before', fingerprint(one.before)],
      ['After', fingerprint(one.after)],
      ['Object version', one.resourceVersion],
      ['Request', h('a', { href: link(['records'], { request: requestId }) }, h('code', {}, requestId))],
      ['Attempt', String(one.attempt)],
      ['Took', one.phase === 'intent' ? undefined : milliseconds(one.durationMs)],
      ['Written by', `${one.instance}, ${one.replica}`],
    ]),
  );
}

/** A keyed fingerprint; its link asks where it has been. @param {string | undefined} text */
function fingerprint(text) {
  if (text === undefined) return undefined;
  return h(
    'a',
    { href: link(['records'], { fingerprint: text }), title: 'Where has this been?' },
    h('code', { class: 'hash' }, text),
  );
}

/** @param {AuditRecord['keys']} keys */
function keysCard(keys) {
  const pairs = Object.entries(keys).filter(([, names]) => names.length > 0);
  if (pairs.length === 0) return undefined;
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'keys' },
    h('h2', { id: 'keys' }, 'Keys'),
    facts(
      pairs.map(([what, names]) => [
        what,
        h('ul', { class: 'names' }, ...names.map((name) => h('li', {}, h('code', {}, name)))),
      ]),
    ),
  );
}

/** @param {AuditRecord['values']} values */
function valuesCard(values = {}) {
  const pairs = Object.entries(values);
  if (pairs.length === 0) return undefined;
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'values' },
    h('h2', { id: 'values' }, 'Values'),
    h('p', { class: 'muted' }, 'Keyed fingerprints: each asks where that value has been.'),
    facts(pairs.map(([key, text]) => [key, fingerprint(text)])),
  );
}

/** @param {AuditRecord['sources']} sources */
function sourcesCard(sources) {
  if (sources.length === 0) return undefined;
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'sources' },
    h('h2', { id: 'sources' }, 'Sources'),
    table(
      'Sources',
      [
        { title: 'Source', kind: 'head', cell: ({ store, key }) => sourceLink(store, key) },
        { title: 'Property', cell: ({ property = '' }) => property },
        { title: 'Version', cell: ({ version = '' }) => h('code', { class: 'hash' }, version) },
      ],
      sources,
    ),
  );
}

/** @param {RecordDetail} record */
function chainCard({ sequence, hash, previousHash, chain: { head, fits } }) {
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'chain' },
    h('h2', { id: 'chain' }, 'Place in the chain ', badge(fits ? 'intact' : 'damaged')),
    h(
      'p',
      { class: 'muted' },
      fits
        ? 'Its hash is that of its content, it names the record before, and the one after names it.'
        : 'Its hash, its content and its neighbours do not fit together.',
    ),
    facts([
      ['Record', `${number(sequence)} of ${number(head)}`],
      ['Hash', h('code', { class: 'hash' }, hash)],
      ['Hash of the one before', h('code', { class: 'hash' }, previousHash)],
    ]),
    proof(sequence),
  );
}
