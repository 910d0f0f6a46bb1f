import { get } from '../api.js';
import { h, say } from '../dom.js';
import { clock, counted, time } from '../format.js';
import { link } from '../router.js';
import { attempt } from './attempt.js';
import { notice } from './notice.js';

/**
 * @typedef {{ at: number, answer: import('../api.js').Verification }} Proof
 * @typedef {import('../api.js').Problem} Problem
 */

/** The last one made from this page: it reads every record, so it is made on demand only. @type {Proof | undefined} */
let last;
/** The one that is being made, which outlives the button that began it. @type {Promise<Proof> | undefined} */
let running;

export function forgetProof() {
  last = undefined;
  running = undefined;
}

function make() {
  /** @type {Promise<Proof>} */
  const mine = get('api/v1/audit/verify')
    .then((answer) => {
      const made = { at: Date.now(), answer };
      // Whoever signs in next makes their own.
      if (running === mine) last = made;
      return made;
    })
    .finally(() => {
      if (running === mine) running = undefined;
    });
  return mine;
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
      running ??= make();
      const made = await running;
      if (!button.isConnected) return;
      result.replaceChildren(shown(made, sequence));
      say(result.textContent ?? '');
    });
  }

  // The view was drawn anew meanwhile, or it is another one.
  if (running !== undefined) void run();
  return h('div', { class: 'proof' }, button, result);
}

/** @param {Proof} proof @param {number | undefined} sequence */
function shown({ at, answer }, sequence) {
  const { ok, records, problem: damage } = answer;
  if (!ok && damage?.unknownKey) return notice('bad', doubt(damage, at, answer, sequence));
  if (!ok && damage !== undefined) {
    const forged =
      damage.kind === 'checkpoint'
        ? ' The first altered record is there, or the checkpoint itself was forged.'
        : '';
    const here = sequence === undefined ? '' : ` ${concerning(sequence, damage, answer)}`;
    return notice(
      'bad',
      h(
        'p',
        {},
        h('strong', {}, `Damaged (${damage.kind})`),
        ' at ',
        ...place(damage),
        `, checked ${clock(at)}.${forged}${here}${beginning(answer)}`,
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
      beginning(answer),
    ),
  );
}

/**
 * Nothing contradicts, so that the chain fits as a whole.
 * @param {Problem} damage
 * @param {number} at
 * @param {import('../api.js').Verification} answer
 * @param {number | undefined} sequence
 */
function doubt(damage, at, answer, sequence) {
  const proved = answer.sealed?.sequence ?? 0;
  const here =
    sequence === undefined
      ? ''
      : sequence <= proved
        ? ' This record is proved.'
        : ' This record fits the chain, but no checkpoint of a known key proves it.';
  return h(
    'p',
    {},
    h('strong', {}, 'In doubt'),
    ': the checkpoint of ',
    h('a', { href: link(['records', damage.sequence]) }, `record ${damage.sequence}`),
    ` agrees with the chain, but is signed by a key that is not known, checked ${clock(at)}. That may be an older one of yours, or whoever forged both.${here}${beginning(answer)}`,
  );
}

/** A checkpoint tells only that the first bad record comes after the last one that was proved. @param {Problem} damage */
function firstOf({ kind, sequence, after = 0 }) {
  return kind === 'checkpoint' ? after + 1 : sequence;
}

/** @param {Problem} damage */
function place(damage) {
  const { sequence } = damage;
  const first = firstOf(damage);
  if (first === sequence) return [h('a', { href: link(['records', sequence]) }, `record ${sequence}`)];
  const list = link(['records'], { cursor: sequence + 1 });
  return ['one of the records ', h('a', { href: list }, `${first} to ${sequence}`)];
}

/** Of a chain whose oldest records have left. @param {import('../api.js').Verification} answer */
function beginning({ from = 1, cutProved = false }) {
  if (from === 1) return '';
  const before = cutProved ? 'proved by a checkpoint' : 'not proved';
  return ` It begins at record ${from}; that record ${from - 1} was the one before is ${before}.`;
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

/**
 * Whoever recomputes every hash from some record on leaves records that fit: only a checkpoint proves them.
 * @param {number} sequence
 * @param {Problem} damage
 * @param {import('../api.js').Verification} answer
 */
function concerning(sequence, damage, { sealed }) {
  const first = firstOf(damage);
  if (sequence > damage.sequence) return 'This record lies behind it, and is not proved.';
  if (sequence === first && first === damage.sequence) return 'It is this record.';
  if (sequence >= first) return 'This record is among them, and is not proved.';
  const proved = damage.kind === 'checkpoint' ? first - 1 : (sealed?.sequence ?? 0);
  return sequence <= proved
    ? 'This record lies before it, and is proved.'
    : 'This record lies before it and fits the chain, but no signed checkpoint proves it.';
}
