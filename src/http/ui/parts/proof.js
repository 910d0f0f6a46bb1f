import { get } from '../api.js';
import { h, say } from '../dom.js';
import { clock, counted, time } from '../format.js';
import { link } from '../router.js';
import { attempt } from './attempt.js';
import { notice } from './notice.js';

/** @typedef {{ at: number, answer: import('../api.js').Verification }} Proof */

/** The last one made from this page: it reads every record, so it is made on demand only. @type {Proof | undefined} */
let last;

export function forgetProof() {
  last = undefined;
}

/**
 * A button that proves the chain, and what came of it.
 * @param {number} [sequence] The record that is looked at.
 */
export function proof(sequence) {
  const result = h('div', {}, ...(last === undefined ? [] : [shown(last, sequence)]));
  const button = h('button', { type: 'button', onclick: run }, 'Verify the whole chain');

  function run() {
    return attempt([button], result, async () => {
      result.replaceChildren(h('p', { class: 'muted' }, 'Reading every record…'));
      const answer = await get('api/v1/audit/verify');
      // Whoever signs in next makes their own.
      if (!button.isConnected) return;
      last = { at: Date.now(), answer };
      result.replaceChildren(shown(last, sequence));
      say(result.textContent ?? '');
    });
  }

  return h('div', { class: 'proof' }, button, result);
}

/** @param {Proof} proof @param {number | undefined} sequence */
function shown({ at, answer }, sequence) {
  const { ok, records, problem: damage } = answer;
  if (!ok && damage !== undefined) {
    const where = h('a', { href: link(['records', damage.sequence]) }, `record ${damage.sequence}`);
    const here = sequence === undefined ? '' : ` ${concerning(sequence, damage.sequence)}`;
    return notice(
      'bad',
      h(
        'p',
        {},
        h('strong', {}, `Damaged (${damage.kind})`),
        ' at ',
        where,
        `, checked ${clock(at)}.${here}`,
      ),
    );
  }
  return notice(
    'good',
    h(
      'p',
      {},
      h('strong', {}, 'Intact'),
      `: ${counted(records, 'record')}, checked ${clock(at)}. `,
      ...sealing(answer),
    ),
  );
}

/** @param {import('../api.js').Verification} answer */
function sealing({ checkpoints, sealed, unchecked = 0 }) {
  const without =
    unchecked === 0
      ? ''
      : ` ${counted(unchecked, 'checkpoint')} could not be checked: no key is known for it.`;
  if (sealed === undefined) return [`No signed checkpoint covers them.${without}`];
  return [
    `${counted(checkpoints, 'signed checkpoint')} agree; the last covers record ${sealed.sequence}, of `,
    time(sealed.time),
    `.${without}`,
  ];
}

/** @param {number} sequence @param {number} damaged */
function concerning(sequence, damaged) {
  if (sequence < damaged) return 'This record lies before it, and is proved.';
  return sequence === damaged ? 'It is this record.' : 'This record lies behind it, and is not proved.';
}
