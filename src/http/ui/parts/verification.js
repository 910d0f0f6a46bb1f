import { get } from '../api.js';
import { announce, h } from '../dom.js';
import { clock, pluralize, time } from '../format.js';
import { link } from '../router.js';
import { attempt } from './attempt.js';
import { notice } from './notice.js';

/**
 * @typedef {{ at: number, answer: import('../api.js').Verification }} Result
 * @typedef {import('../api.js').Problem} Problem
 */

/** The last result. A verification reads every record, so it runs only on demand. @type {Result | undefined} */
let last;
/** The running verification. It continues when the view is redrawn. @type {Promise<Result> | undefined} */
let running;
/** Whether the session may verify. A verification reads the records of all namespaces. */
let allowed = true;

/** @param {import('../api.js').Session} [session] */
export function resetVerification(session) {
  last = undefined;
  running = undefined;
  allowed = session?.namespaces === undefined;
}

function verify() {
  /** @type {Promise<Result>} */
  const current = get('api/v1/audit/verify')
    .then((answer) => {
      const finished = { at: Date.now(), answer };
      // Store the result only if the same session is still active.
      if (running === current) last = finished;
      return finished;
    })
    .finally(() => {
      if (running === current) running = undefined;
    });
  return current;
}

/**
 * Draws the button that verifies the chain, and the result.
 * @param {number} [sequence] The sequence number of the record that the page shows.
 */
export function verification(sequence) {
  if (!allowed)
    return h(
      'p',
      { class: 'muted' },
      'A verification needs access to all namespaces. This token has access to some.',
    );
  const result = h('div', {}, ...(last === undefined ? [] : [resultNotice(last, sequence)]));
  const button = h('button', { type: 'button', onclick: run }, 'Verify the whole chain');

  function run() {
    return attempt([button], result, async () => {
      result.replaceChildren(h('p', { class: 'muted' }, 'Reading every record…'));
      running ??= verify();
      const finished = await running;
      if (!button.isConnected) return;
      result.replaceChildren(resultNotice(finished, sequence));
      announce(result.textContent ?? '');
    });
  }

  // A verification that was started in an earlier view is still running. Show its progress and result in this view.
  if (running !== undefined) void run();
  return h('div', { class: 'verification' }, button, result);
}

/** @param {Result} result @param {number | undefined} sequence */
function resultNotice({ at, answer }, sequence) {
  const { ok, records, problem: damage } = answer;
  if (!ok && damage?.unknownKey) return notice('bad', unknownKeyText(damage, at, answer, sequence));
  if (!ok && damage !== undefined) {
    const forged =
      damage.kind === 'checkpoint'
        ? ' Either the first altered record is in this range, or the checkpoint was forged.'
        : '';
    const here = sequence === undefined ? '' : ` ${recordText(sequence, damage, answer)}`;
    return notice(
      'bad',
      h(
        'p',
        {},
        h('strong', {}, `Damaged (${damage.kind})`),
        ' at ',
        ...recordRange(damage),
        `, checked ${clock(at)}.${forged}${here}${chainStart(answer)}`,
      ),
    );
  }
  const { covered, unverifiable = 0 } = answer;
  return notice(
    covered && unverifiable === 0 ? 'good' : 'warn',
    h(
      'p',
      {},
      h('strong', {}, covered ? 'Intact' : 'Intact, but not covered'),
      `: ${pluralize(records, 'record')}, checked ${clock(at)}. `,
      ...checkpointText(answer),
      unverifiable === 0 ? '' : ` No known key verifies ${pluralize(unverifiable, 'record')}.`,
      chainStart(answer),
    ),
  );
}

/**
 * Describes the result if the chain is consistent, but an unknown key signed a checkpoint.
 * @param {Problem} damage
 * @param {number} at
 * @param {import('../api.js').Verification} answer
 * @param {number | undefined} sequence
 */
function unknownKeyText(damage, at, answer, sequence) {
  const verifiedUpTo = answer.sealed?.sequence ?? 0;
  const here =
    sequence === undefined
      ? ''
      : sequence <= verifiedUpTo
        ? ' This record is verified.'
        : ' This record fits the chain, but no checkpoint with a known key covers it.';
  return h(
    'p',
    {},
    h('strong', {}, 'Unknown signing key'),
    ': the checkpoint of ',
    h('a', { href: link(['records', damage.sequence]) }, `record ${damage.sequence}`),
    ` matches the chain, but an unknown key signed it; checked ${clock(at)}. The key may be an old one of yours, or both may be forged.${here}${chainStart(answer)}`,
  );
}

/**
 * Returns the sequence number of the first record that may be altered. If a checkpoint does not match, this is the
 * first record after the last verified one.
 * @param {Problem} damage
 */
function firstSuspect({ kind, sequence, after = 0 }) {
  return kind === 'checkpoint' ? after + 1 : sequence;
}

/** @param {Problem} damage */
function recordRange(damage) {
  const { sequence } = damage;
  const first = firstSuspect(damage);
  if (first === sequence) return [h('a', { href: link(['records', sequence]) }, `record ${sequence}`)];
  const list = link(['records'], { cursor: sequence + 1 });
  return ['one of the records ', h('a', { href: list }, `${first} to ${sequence}`)];
}

/**
 * Describes the start of a chain whose oldest records were removed after the retention period.
 * @param {import('../api.js').Verification} answer
 */
function chainStart({ from = 1, cutProved = false }) {
  if (from === 1) return '';
  const before = cutProved ? 'verified by a checkpoint' : 'not verified';
  return ` The chain begins at record ${from}. The link to the removed record ${from - 1} is ${before}.`;
}

/** @param {import('../api.js').Verification} answer */
function checkpointText({ checkpoints, sealed, unchecked = 0 }) {
  const without =
    unchecked === 0
      ? ''
      : ` ${pluralize(unchecked, 'checkpoint')} could not be checked: the signing key is unknown.`;
  if (sealed === undefined) return [`No signed checkpoint covers them.${without}`];
  return [
    `${pluralize(checkpoints, 'signed checkpoint')} match; the last one covers record ${sealed.sequence}, of `,
    time(sealed.time),
    `.${without}`,
  ];
}

/**
 * Describes whether the given record is verified. Only a checkpoint can verify it, because an attacker can recompute
 * all later hashes.
 * @param {number} sequence
 * @param {Problem} damage
 * @param {import('../api.js').Verification} answer
 */
function recordText(sequence, damage, { sealed }) {
  const first = firstSuspect(damage);
  if (sequence > damage.sequence) return 'This record comes after the damage and is not verified.';
  if (sequence === first && first === damage.sequence) return 'This record is the damaged one.';
  if (sequence >= first) return 'This record is in that range and is not verified.';
  const verifiedUpTo = damage.kind === 'checkpoint' ? first - 1 : (sealed?.sequence ?? 0);
  return sequence <= verifiedUpTo
    ? 'This record comes before the damage and is verified.'
    : 'This record comes before the damage and fits the chain, but no signed checkpoint covers it.';
}
