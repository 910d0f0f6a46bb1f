import { get, post } from '../api.js';
import { announce, h } from '../dom.js';
import { pluralize, time } from '../format.js';
import { ask } from '../parts/dialog.js';
import { empty, notice } from '../parts/notice.js';
import { mappingLink, targetLink } from '../parts/subject.js';
import { summary } from '../parts/sync.js';

/** @typedef {import('../api.js').Held} Held */

/** @type {import('../frame.js').View} */
export const holdsView = {
  title: () => 'Holds',
  refresh: 'redraw',
  async load(_, signal) {
    /** @type {Held[]} */
    const holds = [];
    let cursor;
    do {
      const page = await get('api/v1/held', { limit: 1_000, cursor }, signal);
      holds.push(...page.held);
      cursor = page.next;
    } while (cursor !== undefined);
    return holds;
  },
  draw(/** @type {Held[]} */ held, _, context) {
    return [
      h(
        'p',
        { class: 'lead muted' },
        'Changes that would delete more than the brake allows. They wait until somebody releases them. The audit records who did.',
      ),
      held.length === 0
        ? empty('There are no held changes.')
        : h('ul', { class: 'holds' }, ...held.map((change) => item(change, context))),
    ];
  },
};

/** @param {Held} held @param {import('../app.js').Context} context */
function item(held, context) {
  const { id, mapping, namespace, secret, action, reason, since } = held;
  const label = `Release: ${action} ${namespace}/${secret}`;
  return h(
    'li',
    { class: 'card' },
    h('h2', {}, `${action} `, targetLink(namespace, secret)),
    h('p', { class: 'muted' }, 'Mapping ', mappingLink(mapping), ', hold ', h('code', {}, id)),
    reason !== undefined &&
      h(
        'p',
        {},
        `Reason: ${reason}`,
        since !== undefined && h('span', {}, '. Held since ', time(since), '.'),
      ),
    lostKeys(held),
    context.may('operator')
      ? h(
          'div',
          { class: 'buttons' },
          h(
            'button',
            { type: 'button', 'aria-label': label, onclick: () => confirm(held, context) },
            'Release…',
          ),
        )
      : h('p', { class: 'muted' }, 'Releasing requires the role operator.'),
  );
}

/** @param {Held} held */
function lostKeys({ action, keys }) {
  const lost = keys.filter((key) => key.action === 'remove' || action === 'delete').map(({ name }) => name);
  const others = keys.filter(({ name }) => !lost.includes(name));
  const whole = action === 'delete' ? ' together with the Secret' : '';
  return h(
    'div',
    {},
    h(
      'p',
      {},
      lost.length === 0
        ? whole === ''
          ? 'No key would be lost.'
          : 'The Secret itself would be deleted.'
        : `${pluralize(lost.length, 'key')} would be lost${whole}:`,
    ),
    h('ul', { class: 'names' }, ...lost.map((name) => h('li', { class: 'lost' }, h('code', {}, name)))),
    others.length > 0 &&
      h('p', { class: 'muted' }, `Also: ${others.map((key) => `${key.name} (${key.action})`).join(', ')}`),
  );
}

/** @param {Held} held @param {import('../app.js').Context} context */
function confirm(held, { reload }) {
  const { id, action, namespace, secret } = held;
  ask({
    title: `Release this ${action}?`,
    body: [
      h('p', {}, 'Target ', h('strong', {}, `${namespace}/${secret}`), '. You cannot undo this here.'),
      lostKeys(held),
    ],
    confirm: action === 'delete' ? 'Release and delete' : 'Release',
    danger: true,
    async act() {
      const answer = await post(`api/v1/held/${encodeURIComponent(id)}/release`);
      const text = `Released ${namespace}/${secret}: ${summary(answer)}.`;
      await reload();
      document.querySelector('main .view')?.prepend(notice('good', text));
      announce(text);
    },
  });
}
