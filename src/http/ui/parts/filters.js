import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../constants.js';
import { h } from '../dom.js';
import { link } from '../router.js';

/** @typedef {{ name: string, title: string, hint?: string, words?: readonly string[], times?: boolean }} Field */

/** @type {readonly Field[]} */
const COMMON = [
  { name: 'since', title: 'Since', hint: 'for example 7d', times: true },
  { name: 'until', title: 'Until', hint: 'for example 1h', times: true },
  { name: 'mapping', title: 'Mapping' },
  { name: 'namespace', title: 'Namespace' },
  { name: 'secret', title: 'Secret' },
  { name: 'action', title: 'Action', words: ACTIONS },
  { name: 'outcome', title: 'Outcome', words: OUTCOMES },
  { name: 'review', title: 'Review', words: REVIEW_STATES },
];
/** @type {readonly Field[]} */
const RARE = [
  { name: 'actor', title: 'Actor', hint: 'ann or drift' },
  { name: 'store', title: 'Store' },
  { name: 'key', title: 'Source key' },
  { name: 'code', title: 'Error code', hint: 'NOT_OWNED' },
  { name: 'request', title: 'Request ID' },
  { name: 'fingerprint', title: 'Fingerprint', hint: 'of a value or a target' },
];
const FIELDS = [...COMMON, ...RARE];

/**
 * Returns only those query parameters of a route that are filters.
 * @param {Record<string, string>} query
 * @returns {Record<string, string>}
 */
export function filtersOf(query) {
  return Object.fromEntries(
    Object.entries(query).filter(([name]) => FIELDS.some((field) => field.name === name)),
  );
}

/**
 * @param {Record<string, string>} query
 * @param {(filters: Record<string, string>) => void} apply
 */
export function filterForm(query, apply) {
  const rare = RARE.some(({ name }) => query[name] !== undefined);
  /** @param {SubmitEvent & { currentTarget: HTMLFormElement }} event */
  function submit(event) {
    event.preventDefault();
    const fields = [...new FormData(event.currentTarget)].map(([name, value]) => [
      name,
      String(value).trim(),
    ]);
    apply(Object.fromEntries(fields.filter(([, value]) => value !== '')));
  }
  return h(
    'form',
    { class: 'filters', role: 'search', 'aria-label': 'Filter records', onsubmit: submit },
    h('div', { class: 'fields' }, ...COMMON.map((field) => input(field, query))),
    h(
      'details',
      { open: rare },
      h('summary', {}, 'More filters'),
      h('div', { class: 'fields' }, ...RARE.map((field) => input(field, query))),
    ),
    h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'submit', class: 'primary' }, 'Apply filters'),
      h('button', { type: 'button', onclick: () => apply({}) }, 'Clear'),
    ),
    h(
      'datalist',
      { id: 'times' },
      ...['1h', '24h', '7d', '30d', '90d'].map((value) => h('option', { value })),
    ),
  );
}

/** @param {Field} field @param {Record<string, string>} query */
function input({ name, title, hint, words, times }, query) {
  const id = `filter-${name}`;
  const value = query[name] ?? '';
  const control =
    words === undefined
      ? h('input', {
          id,
          name,
          value,
          placeholder: hint,
          maxlength: 512,
          autocomplete: 'off',
          autocapitalize: 'off',
          spellcheck: 'false',
          list: times === true ? 'times' : undefined,
          title: times === true ? '7d (days ago), 2026-01-31 or 2026-01-31T08:00:00Z, in UTC' : undefined,
        })
      : h(
          'select',
          { id, name },
          h('option', { value: '' }, 'any'),
          ...words.map((word) => h('option', { value: word, selected: word === value }, word)),
        );
  return h('div', { class: 'field' }, h('label', { for: id }, title), control);
}

/**
 * Draws the active filters as links. Each link removes its filter.
 * @param {Record<string, string>} filters
 * @param {Record<string, string>} rest
 */
export function chips(filters, rest) {
  return Object.entries(filters).map(([name, value]) => {
    const { [name]: _, ...others } = filters;
    const title = FIELDS.find((field) => field.name === name)?.title ?? name;
    const short = value.length > 40 ? `${value.slice(0, 37)}…` : value;
    return h(
      'a',
      {
        class: 'chip',
        href: link(['records'], { ...others, ...rest }),
        // The label contains the visible text, because voice control needs it.
        'aria-label': `Remove the filter ${title} ${short}`,
        title: short === value ? undefined : value,
      },
      h('span', { class: 'muted' }, `${title} `),
      short,
      h('span', { 'aria-hidden': 'true' }, ' ×'),
    );
  });
}
