import { get } from '../api.js';
import { h, replace } from '../dom.js';
import { counted, number } from '../format.js';
import { empty } from '../parts/notice.js';
import { unpinButton } from '../parts/pins.js';
import { syncButton } from '../parts/sync.js';
import { targetTable } from '../parts/target-table.js';
import { link } from '../router.js';
import { TARGET_STATES } from '../words.js';

/**
 * @typedef {import('../api.js').Mapping} Mapping
 * @typedef {import('../api.js').Target} Target
 */

/** Rows that are drawn at once. How many it is by now stands in the state of the address: a refresh draws as many. */
const STEP = 500;

/** @type {import('../frame.js').View} */
export const mappingsView = {
  title: () => 'Mappings',
  refresh: 'redraw',
  load: (_, signal) => all(signal),
  draw(/** @type {Mapping[]} */ mappings, { query }, context) {
    const targets = mappings.flatMap((mapping) => mapping.targets).sort(worstFirst);
    const bare = mappings.filter((mapping) => mapping.targets.length === 0);
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
      // The address follows, so that it can be sent on; no step back for every letter.
      history.replaceState(null, '', link(['mappings'], { state: state.value, find: text.value.trim() }));
      show(STEP);
    }

    /** @param {number} most */
    function showMore(most) {
      history.replaceState({ most: most + STEP }, '');
      show(most + STEP);
      // The button is gone or another one, and with it the place of who uses the keyboard.
      list.querySelectorAll('tbody tr')[most]?.querySelector('a')?.focus();
    }

    /** @param {number} most */
    function show(most) {
      const found = targets.filter((target) => matches(target, state.value, text.value.trim().toLowerCase()));
      const rows = found.slice(0, most);
      const rest = found.length - rows.length;
      count.textContent = `${counted(found.length, 'target')} of ${number(targets.length)}`;
      replace(
        list,
        found.length === 0
          ? empty('No target matches.')
          : targetTable('Targets, those that need somebody first', rows, {
              title: 'Do',
              cell: (target) => [syncButton(target.mapping, context), unpinButton(target, context)],
            }),
        rest > 0 &&
          h(
            'button',
            { type: 'button', onclick: () => showMore(most) },
            `Show ${number(Math.min(rest, STEP))} more`,
          ),
      );
    }

    show(history.state?.most ?? STEP);
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
      bare.length > 0 &&
        h(
          'p',
          {},
          'Without a target: ',
          ...bare.map(({ mapping }) => h('a', { href: link(['mappings', mapping]), class: 'chip' }, mapping)),
        ),
    ];
  },
};

/** @param {AbortSignal} signal @returns {Promise<Mapping[]>} */
async function all(signal) {
  const found = [];
  let cursor;
  do {
    const page = await get('api/v1/mappings', { limit: 1_000, cursor }, signal);
    found.push(...page.mappings);
    cursor = page.next;
  } while (cursor !== undefined);
  return found;
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
