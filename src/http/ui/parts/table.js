import { h } from '../dom.js';

/**
 * On a narrow screen each row becomes a card, by CSS. The roles are said again since a `display` other than
 * that of a table takes them away.
 * @template T
 * @typedef {{
 *   title: string,
 *   cell: (row: T) => import('../dom.js').Child | import('../dom.js').Child[],
 *   kind?: 'by' | 'wide' | 'head',
 * }} Column<T>
 */

/**
 * @template T
 * @param {string} caption For those who do not see the heading above it.
 * @param {readonly Column<T>[]} columns
 * @param {readonly T[]} rows
 * @param {(row: T) => string | undefined} [kindOf] For the looks of a row.
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
 * Names and what they are, one below the other.
 * @param {readonly (readonly [string, import('../dom.js').Child | import('../dom.js').Child[]])[]} pairs Those without a value are left out.
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
