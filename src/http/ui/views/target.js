import { ApiError, get } from '../api.js';
import { h } from '../dom.js';
import { time, who } from '../format.js';
import { badge, code } from '../parts/badge.js';
import { empty, notice } from '../parts/notice.js';
import { pinnedTo, unpinButton } from '../parts/pins.js';
import { recordLink, reviewOf } from '../parts/record-table.js';
import { changes, sourceLink } from '../parts/subject.js';
import { link } from '../router.js';

/**
 * @typedef {import('../api.js').AuditRecord} AuditRecord
 * @typedef {Pick<import('../api.js').Target, 'mapping' | 'namespace' | 'secret' | 'pinned'>} Pinned
 */

const LIMIT = 100;

/** @type {import('../frame.js').View} */
export const targetView = {
  title: ({ path }) => `${path[1]}/${path[2]}`,
  refresh: 'tell',
  async load({ path: [, namespace, secret], query: { cursor } }, signal) {
    const query = { namespace, secret, cursor, limit: LIMIT };
    const page = await get('api/v1/audit/records', query, signal);
    const [pins, ended] = await Promise.all([
      pinsOf(page.records, { namespace, secret }, signal),
      cursor === undefined ? [] : endedLater(page.records, signal),
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
    const events = withoutDoubles(records).filter(({ sequence }) => !ended.includes(sequence));
    return [
      h(
        'p',
        { class: 'lead' },
        h('span', { class: 'muted' }, 'The history of this target, newest first. '),
        h('a', { href: link(['records'], { namespace, secret }) }, 'As a list of records'),
      ),
      ...pins.map((pin) =>
        notice(
          'plain',
          'Pinned ',
          pinnedTo(pin),
          ': it stays at the versions of its sources that this record names. ',
          unpinButton(pin, context),
        ),
      ),
      events.length === 0
        ? empty('No record is about this target.')
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
 * Which of the mappings that made this target have it pinned. The history is worth reading without them as well:
 * a mapping may be gone.
 * @param {readonly AuditRecord[]} records
 * @param {{ namespace: string | undefined, secret: string | undefined }} target
 * @param {AbortSignal} signal
 * @returns {Promise<Pinned[]>}
 */
async function pinsOf(records, { namespace, secret }, signal) {
  const names = new Set(records.flatMap(({ mapping }) => mapping ?? []));
  const found = await Promise.all([...names].map((name) => mappingOf(name, signal)));
  // Only what changes with a record: whoever reads is told of nothing else.
  return found
    .flatMap((mapping) => mapping?.targets ?? [])
    .filter((it) => it.namespace === namespace && it.secret === secret)
    .flatMap((it) => {
      const { mapping, pinned } = it;
      return pinned === undefined ? [] : [{ mapping, namespace: it.namespace, secret: it.secret, pinned }];
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
 * The intents whose outcome is not among the records and yet there: on the page before.
 * @param {readonly AuditRecord[]} records
 * @param {AbortSignal} signal
 * @returns {Promise<number[]>}
 */
async function endedLater(records, signal) {
  const open = withoutDoubles(records).filter(({ phase }) => phase === 'intent');
  const details = await Promise.all(
    open.map(({ sequence }) => get(`api/v1/audit/records/${sequence}`, {}, signal)),
  );
  return details.filter(({ counterpart }) => counterpart !== undefined).map(({ sequence }) => sequence);
}

/** An intent says nothing that its outcome does not. @param {readonly AuditRecord[]} records */
function withoutDoubles(records) {
  const key = (/** @type {AuditRecord} */ { requestId, attempt }) => `${requestId} ${attempt}`;
  const ended = new Set(records.filter(({ phase }) => phase === 'outcome').map(key));
  return records.filter((record) => record.phase !== 'intent' || !ended.has(key(record)));
}

/** @param {AuditRecord} record */
function item(record) {
  const { action, phase, outcome, actor, keys, sources, note } = record;
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
      ` by ${who(actor)}`,
      action === 'review' ? '' : `, ${reviewOf(record)}`,
    ),
    h('div', { class: 'keys-line' }, ...changes(keys)),
    sources.length > 0 &&
      h(
        'details',
        {},
        h('summary', {}, `From ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}`),
        h('ul', {}, ...sources.map(source)),
      ),
    note !== undefined && h('q', { class: 'note' }, note),
  );
}

/** @param {import('../api.js').Source} source */
function source({ store, key, property, version }) {
  const at = version === undefined ? [] : [' version ', h('code', { class: 'hash' }, version)];
  return h('li', {}, sourceLink(store, key), property !== undefined && ` ${property}`, ...at);
}
