import { find, get } from '../api.js';
import { h } from '../dom.js';
import { duration } from '../format.js';
import { empty, notice } from '../parts/notice.js';
import { unpinButton } from '../parts/pins.js';
import { recordTable } from '../parts/record-table.js';
import { sourceLink } from '../parts/subject.js';
import { syncButton } from '../parts/sync.js';
import { targetTable } from '../parts/target-table.js';
import { link } from '../router.js';

/**
 * @typedef {import('../api.js').Mapping} Mapping
 * @typedef {{ mapping: Mapping | undefined, records: import('../api.js').AuditRecord[] }} Data
 */

/** @type {import('../frame.js').View} */
export const mappingView = {
  title: ({ path }) => `Mapping ${path[1]}`,
  refresh: 'redraw',
  async load({ path: [, name = ''] }, signal) {
    const [mapping, { records }] = await Promise.all([
      find(`api/v1/mappings/${encodeURIComponent(name)}`, signal),
      get('api/v1/audit/records', { mapping: name, limit: 20 }, signal),
    ]);
    return { mapping, records };
  },
  draw(/** @type {Data} */ { mapping, records }, { path: [, name] }, context) {
    return [
      ...(mapping === undefined ? notConfigured() : configured(mapping, context)),
      h('h2', {}, 'Latest records'),
      records.length === 0
        ? empty('There are no records of this mapping yet.')
        : recordTable('Latest records', records),
      h('p', {}, h('a', { href: link(['records'], { mapping: name }) }, 'All records of this mapping')),
    ];
  },
};

/** Records and holds link to this view even if the mapping was removed from the configuration. */
function notConfigured() {
  return [
    notice(
      'plain',
      'The configuration has no mapping with this name. Its Secrets were handled as its records show, or are waiting in the list of ',
      h('a', { href: link(['holds']) }, 'holds'),
      '.',
    ),
  ];
}

/** @param {Mapping} mapping @param {import('../app.js').Context} context */
function configured({ mapping: name, refreshSeconds, sources, searches, targets }, context) {
  const isPinned = targets.some(({ pinned }) => pinned !== undefined) && context.may('operator');
  return [
    h(
      'div',
      { class: 'lead' },
      ...(refreshSeconds === undefined
        ? ['Its file is invalid and not in force. Its Secrets are kept and not updated.']
        : [
            h('span', { class: 'muted' }, `Checked every ${duration(refreshSeconds)}. `),
            syncButton(name, context),
          ]),
    ),
    h('h2', {}, 'Targets'),
    targets.length === 0
      ? empty('This mapping has no targets now.')
      : targetTable(
          'Targets',
          targets,
          isPinned ? { title: 'Actions', cell: (target) => unpinButton(target, context) } : undefined,
        ),
    h('h2', {}, 'Sources'),
    h(
      'ul',
      { class: 'plain-list' },
      ...sources.map(({ store, key }) => h('li', {}, sourceLink(store, key))),
      ...searches.map((search) => h('li', {}, ...searched(search))),
    ),
  ];
}

/**
 * Describes a search. Each key that it finds is read separately. @param
 * {import('../api.js').Mapping['searches'][number]} search
 */
function searched({ store, path, name }) {
  const where = path === '' ? 'all matching keys' : `all matching keys below ${path}`;
  return [
    h('span', { class: 'muted' }, `${store}: `),
    where,
    name !== undefined && [' by ', h('code', {}, name)],
  ].flat();
}
