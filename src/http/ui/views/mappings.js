import { get } from '../api.js';
import { TARGET_STATES } from '../constants.js';
import { h, replace } from '../dom.js';
import { number, pluralize } from '../format.js';
import { empty } from '../parts/notice.js';
import { unpinButton } from '../parts/pins.js';
import { syncButton } from '../parts/sync.js';
import { targetTable } from '../parts/target-table.js';
import { link } from '../router.js';

/**
 * @typedef {import('../api.js').Mapping} Mapping
 * @typedef {import('../api.js').Target} Target
 */

/**
 * The number of rows that each click on the button adds. The history state stores the current number of rows, so that a
 * refresh does not change it.
 */
const STEP = 500;

/** @type {import('../frame.js').View} */
export const mappingsView = {
  title: () => 'Mappings',
  refresh: 'redraw',
  load: (_, signal) => allMappings(signal),
  draw(/** @type {Mapping[]} */ mappings, { query }, context) {
    const targets = mappings.flatMap((mapping) => mapping.targets).sort(worstFirst);
    const withoutTargets = mappings.filter((mapping) => mapping.targets.length === 0);
    const list = h('div');
    const count = h('p', { class: 'muted count-line', role: 'status' });
    const text = h('input', {
      id: 'find',
      type: 'search',
      value: query.find ?? '',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => choose(),
    });
    const state = h(
      'select',
      { id: 'state', onchange: () => choose() },
      h('option', { value: '' }, 'any'),
      ...TARGET_STATES.map((word) => h('option', { value: word, selected: word === query.state }, word)),
    );

    function choose() {
      // Store the filters in the URL, so that users can share the URL. Do not add a history entry for each letter.
      history.replaceState(null, '', link(['mappings'], { state: state.value, find: text.value.trim() }));
      show(STEP);
    }

    /** @param {number} limit */
    function showMore(limit) {
      history.replaceState({ limit: limit + STEP }, '');
      show(limit + STEP);
      // The focused button no longer exists. For keyboard users, move the focus to the first new row.
      list.querySelectorAll('tbody tr')[limit]?.querySelector('a')?.focus();
    }

    /** @param {number} limit */
    function show(limit) {
      const matching = targets.filter((target) =>
        matches(target, state.value, text.value.trim().toLowerCase()),
      );
      const rows = matching.slice(0, limit);
      const rest = matching.length - rows.length;
      count.textContent = `${pluralize(matching.length, 'target')} of ${number(targets.length)}`;
      replace(
        list,
        matching.length === 0
          ? empty('No target matches.')
          : targetTable('Targets, problems first', rows, {
              title: 'Actions',
              cell: (target) => [syncButton(target.mapping, context), unpinButton(target, context)],
            }),
        rest > 0 &&
          h(
            'button',
            { type: 'button', onclick: () => showMore(limit) },
            `Show ${number(Math.min(rest, STEP))} more`,
          ),
      );
    }

    show(history.state?.limit ?? STEP);
    return [
      h(
        'form',
        {
          class: 'filters',
          role: 'search',
          'aria-label': 'Find targets',
          onsubmit: (/** @type {Event} */ event) => event.preventDefault(),
        },
        h(
          'div',
          { class: 'fields' },
          h('div', { class: 'field' }, h('label', { for: 'find' }, 'Name'), text),
          h('div', { class: 'field' }, h('label', { for: 'state' }, 'State'), state),
        ),
      ),
      count,
      list,
      withoutTargets.length > 0 &&
        h(
          'p',
          {},
          'Mappings without targets: ',
          ...withoutTargets.map(({ mapping }) =>
            h('a', { href: link(['mappings', mapping]), class: 'chip' }, mapping),
          ),
        ),
    ];
  },
};

/** @param {AbortSignal} signal @returns {Promise<Mapping[]>} */
async function allMappings(signal) {
  const mappings = [];
  let cursor;
  do {
    const page = await get('api/v1/mappings', { limit: 1_000, cursor }, signal);
    mappings.push(...page.mappings);
    cursor = page.next;
  } while (cursor !== undefined);
  return mappings;
}

/** @param {Target} target @param {string} state @param {string} text */
function matches({ mapping, namespace, secret, code = '', state: own }, state, text) {
  if (state !== '' && own !== state) return false;
  return text === '' || `${mapping} ${namespace}/${secret} ${code.toLowerCase()}`.includes(text);
}

/** @param {Target} a @param {Target} b */
function worstFirst(a, b) {
  return (
    TARGET_STATES.indexOf(a.state) - TARGET_STATES.indexOf(b.state) ||
    a.namespace.localeCompare(b.namespace) ||
    a.secret.localeCompare(b.secret)
  );
}
