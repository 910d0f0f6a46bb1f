import { ApiError, get } from '../api.js';
import { h } from '../dom.js';
import { actorText, time } from '../format.js';
import { badge, code } from '../parts/badge.js';
import { empty, notice } from '../parts/notice.js';
import { pinnedTo, unpinButton } from '../parts/pins.js';
import { details } from '../parts/record-details.js';
import { recordLink, reviewOf } from '../parts/record-table.js';
import { sourceLink } from '../parts/subject.js';
import { link } from '../router.js';

/**
 * @typedef {import('../api.js').AuditRecord} AuditRecord
 * @typedef {Pick<import('../api.js').Target, 'mapping' | 'namespace' | 'secret' | 'pinned'>} Pinned
 */

const LIMIT = 100;

/** @type {import('../frame.js').View} */
export const targetView = {
  title: ({ path }) => `${path[1]}/${path[2]}`,
  refresh: 'notify',
  async load({ path: [, namespace, secret], query: { cursor } }, signal) {
    const query = { namespace, secret, cursor, limit: LIMIT };
    const page = await get('api/v1/audit/records', query, signal);
    const [pins, ended] = await Promise.all([
      pinsOf(page.records, { namespace, secret }, signal),
      cursor === undefined ? [] : endedOnPreviousPage(page.records, signal),
    ]);
    return { ...page, pins, ended };
  },
  draw(
    /** @type {{ records: AuditRecord[], next?: string, pins: Pinned[], ended: number[] }} */ data,
    { path, query },
    context,
  ) {
    const [, namespace, secret] = path;
    const { records, next, pins, ended } = data;
    const events = withoutEndedIntents(records).filter(({ sequence }) => !ended.includes(sequence));
    return [
      h(
        'p',
        { class: 'lead' },
        h('span', { class: 'muted' }, 'The history of this target, newest first. '),
        h('a', { href: link(['records'], { namespace, secret }) }, 'Show as records'),
      ),
      ...pins.map((pin) =>
        notice(
          'plain',
          'Pinned ',
          pinnedTo(pin),
          '. The target keeps the source versions of this record. ',
          unpinButton(pin, context),
        ),
      ),
      events.length === 0
        ? empty('There are no records of this target.')
        : h('ol', { class: 'timeline card' }, ...events.map(item)),
      h(
        'nav',
        { class: 'pages', 'aria-label': 'Pages' },
        query.cursor !== undefined && h('a', { class: 'button', href: link(path) }, 'Newest'),
        next !== undefined && h('a', { class: 'button', href: link(path, { cursor: next }) }, 'Older'),
      ),
    ];
  },
};

/**
 * Reads the mappings in the records and returns their pins of this target. Removed mappings are skipped, because the
 * history is useful without them.
 * @param {readonly AuditRecord[]} records
 * @param {{ namespace: string | undefined, secret: string | undefined }} target
 * @param {AbortSignal} signal
 * @returns {Promise<Pinned[]>}
 */
async function pinsOf(records, { namespace, secret }, signal) {
  const names = new Set(records.flatMap(({ mapping }) => mapping ?? []));
  const mappings = await Promise.all([...names].map((name) => mappingOf(name, signal)));
  // Keep only fields that change together with a record. Other changes must not trigger the notice about newer records.
  return mappings
    .flatMap((mapping) => mapping?.targets ?? [])
    .filter((target) => target.namespace === namespace && target.secret === secret)
    .flatMap((target) => {
      const { mapping, pinned } = target;
      return pinned === undefined
        ? []
        : [{ mapping, namespace: target.namespace, secret: target.secret, pinned }];
    });
}

/** @param {string} name @param {AbortSignal} signal @returns {Promise<import('../api.js').Mapping | undefined>} */
async function mappingOf(name, signal) {
  try {
    return await get(`api/v1/mappings/${encodeURIComponent(name)}`, {}, signal);
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 503)) return undefined;
    throw error;
  }
}

/**
 * Returns the sequence numbers of the intents whose outcome is on the previous page.
 * @param {readonly AuditRecord[]} records
 * @param {AbortSignal} signal
 * @returns {Promise<number[]>}
 */
async function endedOnPreviousPage(records, signal) {
  const open = withoutEndedIntents(records).filter(({ phase }) => phase === 'intent');
  const details = await Promise.all(
    open.map(({ sequence }) => get(`api/v1/audit/records/${sequence}`, {}, signal)),
  );
  return details.filter(({ counterpart }) => counterpart !== undefined).map(({ sequence }) => sequence);
}

/**
 * Removes the intents whose outcome is listed, because the outcome contains the same facts.
 * @param {readonly AuditRecord[]} records
 */
function withoutEndedIntents(records) {
  const key = (/** @type {AuditRecord} */ { requestId, action, attempt }) =>
    `${requestId} ${action === 'restart'} ${attempt}`;
  const ended = new Set(records.filter(({ phase }) => phase === 'outcome').map(key));
  return records.filter((record) => record.phase !== 'intent' || !ended.has(key(record)));
}

/** @param {AuditRecord} record */
function item(record) {
  const { action, phase, outcome, actor, sources } = record;
  return h(
    'li',
    { class: phase === 'intent' ? 'plain' : outcome },
    h(
      'div',
      { class: 'event' },
      h('strong', {}, action),
      ' ',
      phase === 'intent' ? badge('intent') : badge(outcome),
      ' ',
      code(record.code),
      ' ',
      recordLink(record.sequence),
    ),
    h(
      'div',
      { class: 'muted' },
      time(record.time),
      ` by ${actorText(actor)}`,
      action === 'review' ? '' : `, ${reviewOf(record)}`,
    ),
    h('div', { class: 'keys-line' }, ...details(record)),
    sources.length > 0 &&
      h(
        'details',
        {},
        h('summary', {}, `From ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}`),
        h('ul', {}, ...sources.map(source)),
      ),
  );
}

/** @param {import('../api.js').Source} source */
function source({ store, key, property, version }) {
  const at = version === undefined ? [] : [' version ', h('code', { class: 'hash' }, version)];
  return h('li', {}, sourceLink(store, key), property !== undefined && ` ${property}`, ...at);
}
