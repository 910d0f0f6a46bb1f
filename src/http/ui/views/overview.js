import { ApiError, get } from '../api.js';
import { TARGET_STATES } from '../constants.js';
import { h, withCode } from '../dom.js';
import { number, time } from '../format.js';
import { badge, state } from '../parts/badge.js';
import { empty, problem } from '../parts/notice.js';
import { recordLink, recordTable } from '../parts/record-table.js';
import { table } from '../parts/table.js';
import { targetTable } from '../parts/target-table.js';
import { verification } from '../parts/verification.js';
import { link } from '../router.js';

/** @typedef {{ code: string, message: string, remedy: string }} StartError */
/**
 * @typedef {{
 *   status: import('../api.js').Status, unreviewed: import('../api.js').AuditRecord[], startError: StartError | undefined,
 * }} Data
 */

/** The maximum number of rows of each table. The mappings view lists all of them. */
const MAX_ROWS = 20;
const HEALTHY = ['synced', 'waiting', 'pinned', 'stale'];

/** @type {import('../frame.js').View} */
export const overviewView = {
  title: () => 'Overview',
  refresh: 'redraw',
  async load(_, signal) {
    const [status, { records }] = await Promise.all([
      get('api/v1/status', {}, signal),
      get('api/v1/audit/records', { review: 'unreviewed', limit: 5 }, signal),
    ]);
    return { status, unreviewed: records, startError: await loadStartError(status, signal) };
  },
  draw: (/** @type {Data} */ { status, unreviewed, startError }) => {
    return [
      h(
        'p',
        { class: 'lead muted' },
        `Instance ${status.instance}, version ${status.version}`,
        status.replica === undefined ? '' : `, replica ${status.replica}`,
      ),
      ...configProblems(status),
      ...configDifferences(status),
      ...(startError === undefined
        ? [counts(status), health(status), ...problemSections(status)]
        : [problem(new ApiError({ status: 503, ...startError })), health(status)]),
      section(
        'To review',
        unreviewed.length === 0
          ? empty('Everything has been reviewed.')
          : recordTable('Newest unreviewed records', unreviewed),
        h('p', {}, h('a', { href: link(['records'], { review: 'unreviewed' }) }, 'All unreviewed records')),
      ),
      section('Verification', verification()),
    ];
  },
};

/**
 * Returns the reason why the service has not started. Undefined if it has started. Before the start there are no
 * targets, so "no failures" would be misleading. The status does not contain the reason, so the error of another route
 * provides it.
 * @param {import('../api.js').Status} status
 * @param {AbortSignal} signal
 * @returns {Promise<StartError | undefined>}
 */
async function loadStartError({ engine, targets }, signal) {
  if (engine.state === 'up' || targets.length > 0) return undefined;
  try {
    await get('api/v1/held', { limit: 1 }, signal);
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 503) throw error;
    const { code, message, remedy } = error;
    return { code, message, remedy };
  }
}

/** @param {import('../api.js').Status} status */
function problemSections({ targets }) {
  const bad = targets.filter(({ state }) => !HEALTHY.includes(state)).sort(byState);
  const stale = targets.filter(({ state }) => state === 'stale').sort(byAge);
  return [
    section(
      'Failures',
      bad.length === 0
        ? empty('No target has failed, or is refused or held.')
        : targetTable('Targets with problems', bad.slice(0, MAX_ROWS)),
      more(bad.length),
    ),
    section(
      'Stale targets',
      stale.length === 0
        ? empty('Every target is as fresh as its mapping requires.')
        : targetTable('Stale targets', stale.slice(0, MAX_ROWS)),
      more(stale.length),
    ),
  ];
}

/** @param {string} title @param {...import('../dom.js').Child} children */
function section(title, ...children) {
  const id = `section-${title.toLowerCase().replaceAll(' ', '-')}`;
  return h('section', { 'aria-labelledby': id }, h('h2', { id }, title), ...children);
}

/** @param {number} count */
function more(count) {
  return count > MAX_ROWS && h('p', {}, h('a', { href: link(['mappings']) }, `Show all ${number(count)}`));
}

/** @param {import('../api.js').Status} status */
function configDifferences({ config }) {
  const names = config?.differing ?? [];
  if (names.length === 0) return [];
  return [
    h(
      'div',
      { class: 'notice warn' },
      h(
        'p',
        {},
        h('strong', {}, 'Some replicas have another configuration: '),
        `${names.join(', ')}. Deletions of removed targets wait until all replicas agree.`,
      ),
    ),
  ];
}

/** @param {import('../api.js').Status} status */
function configProblems({ config }) {
  if (config === undefined || config.valid) return [];
  const lines = config.problems.map(({ file, line, path, message, suggestion }) =>
    h(
      'li',
      {},
      file !== undefined &&
        h('code', {}, line === undefined ? String(file) : `${String(file)}:${String(line)}`),
      ' ',
      path !== undefined && h('code', {}, String(path)),
      message !== undefined && [' ', withCode(String(message))],
      suggestion !== undefined && [' ', withCode(String(suggestion))],
    ),
  );
  return [
    h(
      'div',
      { class: 'notice bad' },
      h(
        'p',
        {},
        h('strong', {}, 'The configuration files are not valid. '),
        'The last valid configuration stays in use.',
      ),
      h('ul', {}, ...lines),
    ),
  ];
}

/** @param {import('../api.js').Status} status */
function counts({ targets, held }) {
  const states = TARGET_STATES.map((state) => ({
    state,
    count: targets.filter((target) => target.state === state).length,
  }));
  const tiles = states
    .filter(({ state, count }) => count > 0 || ['failed', 'synced', 'stale'].includes(state))
    .map(({ state, count }) => tile(count, state, link(['mappings'], { state }), count > 0));
  return h(
    'ul',
    { class: 'tiles', 'aria-label': 'Counts' },
    tile(targets.length, targets.length === 1 ? 'target' : 'targets', link(['mappings']), false),
    ...tiles.toReversed(),
    tile(
      held.length,
      held.length === 1 ? 'held change' : 'held changes',
      link(['holds']),
      false,
      held.length > 0 ? 'warn' : 'plain',
    ),
  );
}

/** @param {number} count @param {string} word @param {string} href @param {boolean} isState @param {string} [tone] */
function tile(count, word, href, isState, tone) {
  const label = isState
    ? badge(word)
    : h('span', { class: tone === undefined ? 'muted' : `badge ${tone}` }, word);
  return h('li', {}, h('a', { href, class: 'tile' }, h('span', { class: 'count' }, number(count)), label));
}

/** @param {import('../api.js').Status} status */
function health({ engine, audit, warnings = [], cluster, config, stores, events = [] }) {
  /** @typedef {{ name: string, kind: string, state: string, code?: string, more?: import('../dom.js').Child }} Row */
  /** @type {Row[]} */
  const rows = [
    { name: 'Engine', ...engine },
    { name: 'Audit', ...audit, ...auditDoubt(audit, warnings), more: auditNote(audit) },
    ...(cluster === undefined ? [] : [{ name: 'Cluster', ...cluster }]),
    ...(config === undefined
      ? []
      : [{ name: 'Configuration', kind: '', state: config.valid ? 'valid' : 'invalid' }]),
    ...stores.map((store) => ({ ...store, name: `Store ${store.name}`, more: storeNote(store) })),
    ...events.map((intake) => ({ ...intake, name: `Events ${intake.name}`, more: eventNote(intake) })),
  ];
  return section(
    'Health',
    table(
      'Health',
      [
        { title: 'Part', kind: 'head', cell: ({ name }) => name },
        { title: 'Kind', cell: ({ kind }) => kind },
        { title: 'State', cell: (row) => state(row.state, row.code) },
        { title: 'Last activity', kind: 'wide', cell: ({ more: note }) => note },
      ],
      rows,
    ),
  );
}

const AUDIT_WARNINGS = ['CHECKPOINTS_MISSING', 'AUDIT_ALTERED', 'RECORDS_UNVERIFIABLE'];

/**
 * An audit log that works but is in doubt never gets a good mark.
 * @param {{ state: string }} audit
 * @param {{ code: string }[]} warnings
 */
function auditDoubt({ state: current }, warnings) {
  const doubt = warnings.find((warning) => AUDIT_WARNINGS.includes(warning.code));
  return current !== 'up' || doubt === undefined ? {} : { state: 'degraded', code: doubt.code };
}

/**
 * Shows the sequence number of the last record. It is not the number of records, because old records may have been
 * removed.
 * @param {{ sequence: number }} audit
 */
function auditNote({ sequence }) {
  return sequence === 0 ? 'no records yet' : h('span', {}, 'last record ', recordLink(sequence));
}

/** @param {import('../api.js').Status['stores'][number]} store */
function storeNote({ lastSuccess, breakerOpen }) {
  return h(
    'span',
    {},
    breakerOpen === true && 'paused (circuit breaker open); ',
    lastSuccess ? 'last read ' : 'not read yet',
    lastSuccess && time(lastSuccess),
  );
}

/** @param {{ lastEvent?: string }} intake */
function eventNote({ lastEvent }) {
  return lastEvent === undefined ? 'no events yet' : h('span', {}, 'last event ', time(lastEvent));
}

/** @param {import('../api.js').Target} a @param {import('../api.js').Target} b */
function byState(a, b) {
  return TARGET_STATES.indexOf(a.state) - TARGET_STATES.indexOf(b.state);
}

/** @param {import('../api.js').Target} a @param {import('../api.js').Target} b */
function byAge(a, b) {
  return (b.staleSeconds ?? 0) - (a.staleSeconds ?? 0);
}
