import { get } from '../api.js';
import { h } from '../dom.js';
import { pluralize, time } from '../format.js';
import { exportControl } from '../parts/export.js';
import { chips, filterForm, filtersOf } from '../parts/filters.js';
import { empty } from '../parts/notice.js';
import { recordTable } from '../parts/record-table.js';
import { sourceLink } from '../parts/subject.js';
import { table } from '../parts/table.js';
import { link } from '../router.js';

const SIZES = ['50', '200', '1000'];

/** @type {import('../frame.js').View} */
export const recordsView = {
  title: () => 'Records',
  refresh: 'notify',
  load: ({ query }, signal) => {
    const { cursor, limit = SIZES[0], fingerprint } = query;
    // With a fingerprint, also show the changes that used a version with this fingerprint.
    const trace = fingerprint === undefined ? undefined : 'true';
    return get('api/v1/audit/records', { ...filtersOf(query), trace, cursor, limit }, signal);
  },
  form: ({ query }, { go }) => [
    filterForm(query, (chosen) => go(link(['records'], { ...chosen, ...pageOf(query) }))),
  ],
  draw(/** @type {import('../api.js').RecordPage} */ data, route, context) {
    const { query } = route;
    const { go } = context;
    const { records, next, versions = [], more = false } = data;
    const filters = filtersOf(query);
    const page = pageOf(query);
    const active = chips(filters, page);
    return [
      ...(recordsView.form?.(route, context) ?? []),
      h(
        'div',
        { class: 'toolbar' },
        active.length > 0 &&
          h('div', { class: 'chips', role: 'group', 'aria-label': 'Active filters' }, ...active),
        exportControl(filters, versions.length > 0),
      ),
      versions.length > 0 && traced(versions, more),
      records.length === 0
        ? empty(active.length > 0 ? 'No record matches these filters.' : 'There are no records yet.')
        : recordTable('Records, newest first', records),
      h(
        'div',
        { class: 'pages' },
        h(
          'span',
          { class: 'muted' },
          records.length === 0
            ? ''
            : `${pluralize(records.length, 'record')}, #${records.at(-1)?.sequence} to #${records[0]?.sequence}`,
        ),
        h(
          'nav',
          { 'aria-label': 'Pages' },
          query.cursor !== undefined &&
            h('a', { class: 'button', href: link(['records'], { ...filters, ...page }) }, 'Newest'),
          next !== undefined &&
            h(
              'a',
              {
                class: 'button',
                rel: 'next',
                href: link(['records'], { ...filters, ...page, cursor: next }),
              },
              'Older',
            ),
        ),
        sizes(query, (limit) => go(link(['records'], { ...filters, limit }))),
      ),
    ];
  },
};

/** @param {Record<string, string>} query @returns {{ limit?: string }} */
function pageOf({ limit }) {
  return limit === undefined ? {} : { limit };
}

/**
 * @param {readonly import('../api.js').TracedVersion[]} versions
 * @param {boolean} more Whether other source versions, which are not in `versions`, also had this value.
 */
function traced(versions, more) {
  return h(
    'section',
    { class: 'traced', 'aria-labelledby': 'traced' },
    h('h2', { id: 'traced' }, 'Sources that had this value'),
    table(
      'Sources that had this value',
      [
        { title: 'Source', kind: 'head', cell: ({ store, key }) => sourceLink(store, key) },
        { title: 'Version', cell: ({ version = '' }) => h('code', { class: 'hash' }, version) },
        { title: 'First read', cell: ({ firstRead }) => time(firstRead) },
      ],
      versions,
    ),
    more &&
      h(
        'p',
        {},
        `More source versions had this value than the ${versions.length} shown. To see what used the others, filter by store or source key.`,
      ),
    h('h2', {}, 'Records with this value, and changes that used it'),
  );
}

/** @param {Record<string, string>} query @param {(limit: string) => void} choose */
function sizes({ limit = '50' }, choose) {
  const options = SIZES.map((size) => h('option', { value: size, selected: size === limit }, size));
  const onchange = (/** @type {{ target: HTMLSelectElement }} */ { target }) => choose(target.value);
  return h(
    'div',
    { class: 'field inline' },
    h('label', { for: 'page-size' }, 'Records on a page'),
    h('select', { id: 'page-size', onchange }, ...options),
  );
}
