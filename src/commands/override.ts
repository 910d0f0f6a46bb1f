import type { App } from '../app/app.ts';
import { type Actor, type AuditRecord, commandEntry, commandOf } from '../audit/entry.ts';
import { recordReview } from '../audit/query/review.ts';
import { abortAfterGrace } from '../core/abort.ts';
import type { ChangeKind } from '../core/change-windows.ts';
import type { StartTimer } from '../core/timer.ts';
import { withoutSuffix } from '../core/tracer.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { acceptCommand } from '../reconcile/recorder.ts';
import type { WindowOverride } from '../service/approvals.ts';

// An operator can make changes outside of their windows. The audit says who did, why, and for which targets.

/** A command starts its runs at once. Later, its request id may come from somebody who has read it in the audit. */
const MAX_AGE_MS = 600_000;
const OVERRIDE = '--override';

interface OverrideCommand {
  readonly actor: Actor;
  readonly requestId: string;
  /** Undefined: all mappings. */
  readonly mapping: string | undefined;
  /** Undefined: all namespaces. */
  readonly namespaces: readonly string[] | undefined;
  readonly reason: string;
}

/** Records the command, and flags its records for review. The runs must start only afterwards. */
export async function recordOverride(
  { audit }: Pick<App, 'audit'>,
  { actor, requestId, mapping, namespaces, reason }: OverrideCommand,
): Promise<void> {
  const command = commandOf('sync', mapping, OVERRIDE, '--reason', JSON.stringify(reason));
  const entry = commandEntry(command, actor, requestId);
  const records = await audit.append(
    namespaces === undefined ? [entry] : namespaces.map((namespace) => ({ ...entry, namespace })),
  );
  for (const { sequence } of records)
    await recordReview(audit, { sequence, state: 'flagged', note: reason, actor, requestId });
}

/** Creates the context of a `sync` of this process. */
export function openSyncContext(
  app: Pick<App, 'createContext'>,
  {
    signal,
    wake,
    override,
  }: {
    readonly signal?: AbortSignal | undefined;
    readonly wake?: StartTimer | undefined;
    readonly override?: WindowOverride | undefined;
  },
): Promise<SyncContext> {
  return app.createContext({
    // After an abort, running writes finish. Their reads are aborted after a short grace period, because a store that
    // does not answer could delay them for minutes.
    signal: abortAfterGrace(signal, wake),
    ...(override === undefined ? {} : { overridesWindow: () => true }),
  });
}

interface AcceptedSync {
  readonly only?: string | undefined;
  readonly override?: WindowOverride | undefined;
  /** Set if the run carries out a saved plan. */
  readonly plan?: object | undefined;
}

/** Records a `sync` of this process, before its first run. */
export async function acceptSync(
  app: Pick<App, 'audit'>,
  { recorder, actor }: Pick<SyncContext, 'recorder' | 'actor'>,
  { only: mapping, override, plan }: AcceptedSync,
): Promise<void> {
  const options = plan === undefined ? [] : ['--plan'];
  if (override === undefined) return acceptCommand(recorder, commandOf('sync', mapping, ...options));
  const { requestId } = recorder;
  await recordOverride(app, { actor, requestId, mapping, namespaces: undefined, ...override });
}

/**
 * Returns which changes of a request an operator has allowed outside of their windows. Queues only name requests, so the
 * decision itself comes from the audit.
 */
export async function overriddenBy(
  { audit, clock }: Pick<App, 'audit' | 'clock'>,
  requestId: string,
): Promise<((change: ChangeKind) => boolean) | undefined> {
  const filter = { request: withoutSuffix(requestId), action: 'command', outcome: 'ok' } as const;
  const commands = await audit.list(filter, { limit: MAX_COMMANDS });
  const recent = commands.filter((record) => isOverride(record) && isRecent(record, clock.now()));
  if (recent.length === 0) return undefined;
  return ({ mapping, namespace }) =>
    recent.some(
      (record) =>
        record.mapping === mapping && (record.namespace === undefined || record.namespace === namespace),
    );
}

const MAX_COMMANDS = 1_000;

function isOverride({ note = '', mapping }: AuditRecord): boolean {
  return mapping !== undefined && note.startsWith(`sync ${mapping} ${OVERRIDE} `);
}

function isRecent({ time }: AuditRecord, now: number): boolean {
  return Math.abs(now - Date.parse(time)) <= MAX_AGE_MS;
}
