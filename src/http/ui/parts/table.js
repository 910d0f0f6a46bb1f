import { h } from '../dom.js';

/**
 * A table column. On narrow screens, CSS changes `display` to show each row as a card. This change removes the table
 * semantics, so explicit ARIA roles are needed.
 * @template T
 * @typedef {{
 *   title: string,
 *   cell: (row: T) => import('../dom.js').Child | import('../dom.js').Child[],
 *   kind?: 'actor' | 'wide' | 'head',
 * }} Column<T>
 */

/**
 * @template T
 * @param {string} caption For screen readers.
 * @param {readonly Column<T>[]} columns
 * @param {readonly T[]} rows
 * @param {(row: T) => string | undefined} [kindOf] The CSS class of a row.
 */
export function table(caption, columns, rows, kindOf = () => undefined) {
  const head = columns.map(({ title, kind }) =>
    h('th', { scope: 'col', role: 'columnheader', class: kind }, title),
  );
  return h(
    'table',
    { role: 'table', class: 'cards' },
    h('caption', { class: 'visually-hidden' }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...head)),
    h('tbody', { role: 'rowgroup' }, ...rows.map((row) => line(columns, row, kindOf(row)))),
  );
}

/**
 * @template T
 * @param {readonly Column<T>[]} columns
 * @param {T} row
 * @param {string | undefined} kindOfRow
 */
function line(columns, row, kindOfRow) {
  return h(
    'tr',
    { role: 'row', class: kindOfRow },
    ...columns.map(({ title, cell, kind }) => {
      const content = [cell(row)].flat().filter((child) => child !== undefined && child !== false);
      const isEmpty = content.every((child) => child === '');
      const classes = [kind, isEmpty && 'nothing'].filter(Boolean).join(' ');
      return kind === 'head'
        ? h('th', { scope: 'row', role: 'rowheader', class: classes, 'data-title': title }, ...content)
        : h('td', { role: 'cell', class: classes || undefined, 'data-title': title }, ...content);
    }),
  );
}

/**
 * Draws a definition list.
 * @param {readonly (readonly [string, import('../dom.js').Child | import('../dom.js').Child[]])[]} pairs Pairs
 * without a value are skipped.
 */
export function facts(pairs) {
  return h(
    'dl',
    { class: 'facts' },
    ...pairs
      .filter(([, value]) => value !== undefined && value !== '' && value !== false)
      .flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  );
}
