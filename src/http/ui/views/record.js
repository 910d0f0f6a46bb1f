import { get } from '../api.js';
import { h } from '../dom.js';
import { actorText, isLocalTimeUtc, milliseconds, number, time, utc } from '../format.js';
import { badge, state } from '../parts/badge.js';
import { rollBack } from '../parts/pins.js';
import { extraFacts, fieldsCard } from '../parts/record-details.js';
import { recordLink } from '../parts/record-table.js';
import { review } from '../parts/review.js';
import { mappingLink, sourceLink, subject, targetLink } from '../parts/subject.js';
import { facts, table } from '../parts/table.js';
import { verification } from '../parts/verification.js';
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
      fieldsCard(record),
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
    { class: 'steps', 'aria-label': 'Neighboring records' },
    previous !== undefined && h('a', { href: link(['records', previous]) }, `← Record ${previous}`),
    h('a', { href: link(['records']) }, 'All records'),
    next !== undefined && h('a', { href: link(['records', next]) }, `Record ${next} →`),
  );
}

/** @param {AuditRecord} record @param {AuditRecord | undefined} other */
function halves(record, other) {
  if (record.phase === undefined) return [half('Details', record, record)];
  const [intent, outcome] = record.phase === 'intent' ? [record, other] : [other, record];
  const none = (/** @type {string} */ title, /** @type {string} */ text) =>
    h('section', { class: 'card' }, h('h2', {}, title), h('p', { class: 'muted' }, text));
  return [
    intent === undefined
      ? none('Intent', 'The intent record was removed by the retention.')
      : half('Intent', intent, record),
    outcome === undefined
      ? none(
          'Outcome',
          'There is no outcome yet: the change is running, or the cluster could not be read after a crash.',
        )
      : half('Outcome', outcome, record),
  ];
}

/** @param {string} title @param {AuditRecord} shown @param {AuditRecord} current */
function half(title, shown, current) {
  const { actor, requestId, namespace, secret } = shown;
  const { changesLeftOut: _, ...counts } = shown.counts ?? {};
  return h(
    'section',
    { class: `card${shown === current ? ' current' : ''}` },
    h('h2', {}, title, shown === current ? '' : h('span', { class: 'aside' }, recordLink(shown.sequence))),
    facts([
      ['Time', bothTimes(shown.time)],
      ['Action', shown.action],
      ['Outcome', shown.phase === 'intent' ? undefined : state(shown.outcome, shown.code)],
      [
        'Actor',
        h(
          'span',
          {},
          actorText(actor),
          actor.address === undefined ? '' : h('span', { class: 'muted' }, ` from ${actor.address}`),
        ),
      ],
      ['Mapping', shown.mapping === undefined ? undefined : mappingLink(shown.mapping)],
      ['Target', namespace === undefined || secret === undefined ? undefined : targetLink(namespace, secret)],
      ['Source', shown.store === undefined ? undefined : sourceLink(shown.store, shown.key)],
      ['Review of', shown.review === undefined ? undefined : subject(shown)],
      ['New state', shown.review && badge(shown.review.state)],
      ['Note', shown.note && h('q', { class: 'note' }, shown.note)],
      ...Object.entries(counts).map(([name, count]) => /** @type {const} */ ([name, number(count)])),
      ...extraFacts(shown),
      ['Before', fingerprint(shown.before)],
      ['After', fingerprint(shown.after)],
      ['Object version', shown.resourceVersion],
      ['Request', h('a', { href: link(['records'], { request: requestId }) }, h('code', {}, requestId))],
      ['Attempt', String(shown.attempt)],
      ['Duration', shown.phase === 'intent' ? undefined : milliseconds(shown.durationMs)],
      ['Instance and replica', `${shown.instance}, ${shown.replica}`],
    ]),
  );
}

/**
 * The local time and UTC, or only one of them if they are the same.
 * @param {string} iso
 */
function bothTimes(iso) {
  const local = time(iso, { long: true });
  return isLocalTimeUtc(iso) ? [local] : [local, h('span', { class: 'muted' }, ` ${utc(iso)}`)];
}

/** Links a fingerprint to the records that contain it. @param {string | undefined} text */
function fingerprint(text) {
  if (text === undefined) return undefined;
  return h(
    'a',
    { href: link(['records'], { fingerprint: text }), title: 'Find records with this fingerprint' },
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
      pairs.map(([change, names]) => [
        change,
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
    h('p', { class: 'muted' }, 'Keyed fingerprints. Follow one to find the records with the same value.'),
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
        ? 'The hash matches the content, and the records before and after link correctly.'
        : 'The hash, the content and the neighboring records do not match.',
    ),
    facts([
      ['Record', `${number(sequence)} of ${number(head)}`],
      ['Hash', h('code', { class: 'hash' }, hash)],
      ['Previous hash', h('code', { class: 'hash' }, previousHash)],
    ]),
    verification(sequence),
  );
}
