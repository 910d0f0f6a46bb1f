import type { ComponentChildren, VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { get } from '../api.ts';
import { announce, clock, pluralize, Time } from '../format.tsx';
import { usePage, type VerificationState } from '../page.ts';
import { link } from '../router.ts';
import type { Damage, Verification as Result, Session } from '../types.ts';
import { Notice, Problem } from './notice.tsx';

/** The verification of a session. Another session does not see its result. */
export function useVerification({ namespaces }: Session): VerificationState {
  const [state, setState] = useState<Pick<VerificationState, 'last' | 'problem' | 'isRunning'>>({
    last: undefined,
    problem: undefined,
    isRunning: false,
  });

  async function verify(): Promise<void> {
    setState({ last: undefined, problem: undefined, isRunning: true });
    try {
      const answer = await get('/api/v1/audit/verify');
      setState({ last: { at: Date.now(), answer }, problem: undefined, isRunning: false });
    } catch (problem) {
      setState({ last: undefined, problem, isRunning: false });
    }
  }
  return { isAllowed: namespaces === undefined, ...state, run: () => void (state.isRunning || verify()) };
}

/**
 * The button that verifies the chain, and the result.
 *
 * @param sequence The sequence number of the record that the view shows.
 */
export function Verification({ sequence }: { readonly sequence?: number }): VNode {
  const { isAllowed, last, problem, isRunning, run } = usePage().verification;
  const result = useRef<HTMLDivElement>(null);
  const wasRunning = useRef(isRunning);
  useLayoutEffect(() => {
    if (wasRunning.current && last !== undefined) announce(result.current?.textContent ?? '');
    wasRunning.current = isRunning;
  }, [isRunning]);

  if (!isAllowed)
    return <p class="muted">A verification needs access to all namespaces. This token has access to some.</p>;
  return (
    <div class="verification">
      <button type="button" aria-disabled={isRunning || undefined} onClick={run}>
        Verify the whole chain
      </button>
      <div ref={result}>
        {isRunning && <p class="muted">Reading every record…</p>}
        {problem !== undefined && <Problem error={problem} />}
        {last !== undefined && <ResultNotice {...last} sequence={sequence} />}
      </div>
    </div>
  );
}

interface ResultProps {
  readonly at: number;
  readonly answer: Result;
  readonly sequence: number | undefined;
}

function ResultNotice({ at, answer, sequence }: ResultProps): VNode {
  const { ok, records, problem: damage, covered, unverifiable = 0 } = answer;
  if (!ok && damage?.unknownKey === true)
    return (
      <Notice tone="bad">
        <UnknownKey damage={damage} at={at} answer={answer} sequence={sequence} />
      </Notice>
    );
  if (!ok && damage !== undefined)
    return (
      <Notice tone="bad">
        <DamageText damage={damage} at={at} answer={answer} sequence={sequence} />
      </Notice>
    );
  return (
    <Notice tone={covered && unverifiable === 0 ? 'good' : 'warn'}>
      <p>
        <strong>{covered ? 'Intact' : 'Intact, but not covered'}</strong>
        {`: ${pluralize(records, 'record')}, checked ${clock(at)}. `}
        <Checkpoints answer={answer} />
        {unverifiable === 0 ? '' : ` No known key verifies ${pluralize(unverifiable, 'record')}.`}
        {chainStart(answer)}
      </p>
    </Notice>
  );
}

interface DamageProps extends ResultProps {
  readonly damage: Damage;
}

function DamageText({ damage, at, answer, sequence }: DamageProps): VNode {
  const forged =
    damage.kind === 'checkpoint'
      ? ' Either the first altered record is in this range, or the checkpoint was forged.'
      : '';
  const here = sequence === undefined ? '' : ` ${recordText(sequence, damage, answer)}`;
  return (
    <p>
      <strong>{`Damaged (${damage.kind})`}</strong>
      {' at '}
      {recordRange(damage)}
      {`, checked ${clock(at)}.${forged}${here}${chainStart(answer)}`}
    </p>
  );
}

/** The result if the chain is consistent, but an unknown key signed a checkpoint. */
function UnknownKey({ damage, at, answer, sequence }: DamageProps): VNode {
  const verifiedUpTo = answer.sealed?.sequence ?? 0;
  const fits = 'This record fits the chain, but no checkpoint with a known key covers it.';
  const here =
    sequence === undefined ? '' : sequence <= verifiedUpTo ? ' This record is verified.' : ` ${fits}`;
  return (
    <p>
      <strong>Unknown signing key</strong>
      {': the checkpoint of '}
      <a href={link(['records', damage.sequence])}>record {damage.sequence}</a>
      {` matches the chain, but an unknown key signed it; checked ${clock(at)}. The key may be an old one of yours, or both may be forged.${here}${chainStart(answer)}`}
    </p>
  );
}

/**
 * Returns the sequence number of the first record that may be altered. If a checkpoint does not match, this is the
 * first record after the last verified one.
 */
function firstSuspect({ kind, sequence, after = 0 }: Damage): number {
  return kind === 'checkpoint' ? after + 1 : sequence;
}

function recordRange(damage: Damage): ComponentChildren {
  const { sequence } = damage;
  const first = firstSuspect(damage);
  if (first === sequence) return <a href={link(['records', sequence])}>record {sequence}</a>;
  return (
    <>
      {'one of the records '}
      <a href={link(['records'], { cursor: sequence + 1 })}>{`${first} to ${sequence}`}</a>
    </>
  );
}

/** Describes the start of a chain whose oldest records were removed after the retention period. */
function chainStart({ from = 1, cutProved = false }: Result): string {
  if (from === 1) return '';
  const before = cutProved ? 'verified by a checkpoint' : 'not verified';
  return ` The chain begins at record ${from}. The link to the removed record ${from - 1} is ${before}.`;
}

function Checkpoints({ answer }: { readonly answer: Result }): VNode {
  const { checkpoints, sealed, unchecked = 0 } = answer;
  const without =
    unchecked === 0
      ? ''
      : ` ${pluralize(unchecked, 'checkpoint')} could not be checked: the signing key is unknown.`;
  if (sealed === undefined) return <>{`No signed checkpoint covers them.${without}`}</>;
  return (
    <>
      {`${pluralize(checkpoints, 'signed checkpoint')} match; the last one covers record ${sealed.sequence}, of `}
      <Time at={sealed.time} />
      {`.${without}`}
    </>
  );
}

/**
 * Describes whether the given record is verified. Only a checkpoint can verify it, because an attacker can recompute
 * all later hashes.
 */
function recordText(sequence: number, damage: Damage, { sealed }: Result): string {
  const first = firstSuspect(damage);
  if (sequence > damage.sequence) return 'This record comes after the damage and is not verified.';
  if (sequence === first && first === damage.sequence) return 'This record is the damaged one.';
  if (sequence >= first) return 'This record is in that range and is not verified.';
  const verifiedUpTo = damage.kind === 'checkpoint' ? first - 1 : (sealed?.sequence ?? 0);
  return sequence <= verifiedUpTo
    ? 'This record comes before the damage and is verified.'
    : 'This record comes before the damage and fits the chain, but no signed checkpoint covers it.';
}
