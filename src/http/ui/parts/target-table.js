import { h, withCode } from '../dom.js';
import { duration, time } from '../format.js';
import { badge, code } from './badge.js';
import { pinnedTo } from './pins.js';
import { mappingLink, targetLink } from './subject.js';
import { table } from './table.js';

/** @typedef {import('../api.js').Target} Target */

/** @type {import('./table.js').Column<Target>[]} */
const COLUMNS = [
  { title: 'Target', kind: 'head', cell: ({ namespace, secret }) => targetLink(namespace, secret) },
  { title: 'Mapping', cell: ({ mapping }) => mappingLink(mapping) },
  { title: 'State', cell: (target) => h('span', { class: 'state' }, badge(target.state), pinnedTo(target)) },
  { title: 'Last synced', cell: freshness },
  { title: 'Problem and remedy', kind: 'wide', cell: trouble },
];

/**
 * @param {string} caption
 * @param {readonly Target[]} targets
 * @param {import('./table.js').Column<Target>} [actions]
 */
export function targetTable(caption, targets, actions) {
  return table(caption, actions === undefined ? COLUMNS : [...COLUMNS, actions], targets);
}

/** @param {Target} target */
function freshness({ lastSuccess, staleSeconds }) {
  // After a restart, the time of the last sync is unknown until the target is synced again.
  if (!lastSuccess) return 'not since the service started';
  return [
    time(lastSuccess),
    staleSeconds !== null &&
      staleSeconds >= 60 &&
      h('span', { class: 'muted' }, ` ${duration(staleSeconds)} ago`),
  ];
}

/** @param {Target} target */
export function trouble({ code: error, message, remedy }) {
  if (error === undefined && message === undefined) return '';
  return h(
    'div',
    { class: 'trouble' },
    h('p', {}, code(error), ' ', message !== undefined && withCode(message)),
    remedy !== undefined && h('p', { class: 'muted' }, withCode(remedy)),
  );
}
