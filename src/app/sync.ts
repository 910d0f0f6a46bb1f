import { healsItself } from '../core/errors.ts';
import { compareTargets, formatTarget } from '../core/target.ts';
import type { Logger } from '../log/logger.ts';
import { createMemoryQueue } from '../queue/memory.ts';
import { OUTCOMES, type Outcome, type OutcomeKind } from '../reconcile/outcome.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { recoverIntents } from '../reconcile/recover.ts';
import type { App } from './app.ts';
import { type Held, held } from './held.ts';
import { selectTargets } from './plan.ts';

export type Summary = Readonly<Record<OutcomeKind, number>>;

export interface SyncReport {
  readonly ok: boolean;
  readonly requestId: string;
  readonly summary: Summary;
  readonly targets: readonly Outcome[];
  readonly held: readonly Held[];
  /** Ended by its signal: some targets were not looked at. */
  readonly interrupted: boolean;
}

export interface SyncOptions {
  readonly only?: string;
  /** Told of each target as it is done. */
  readonly onOutcome?: (outcome: Outcome, done: number, total: number) => void;
  /** Stops taking work; what is being written is finished. */
  readonly signal?: AbortSignal;
}

/** Brings every target into step, once, through the same code as the service. */
export async function syncTargets(
  app: App,
  { only, onOutcome, signal }: SyncOptions = {},
): Promise<SyncReport> {
  const wanted = selectTargets(app, only);
  const { instance, formerInstances } = app.config;
  await recoverIntents(app.audit, app.cluster, [instance, ...formerInstances]);
  const pass = app.pass();
  const { recorder } = pass;
  await recorder.command('sync');

  const byTarget = new Map(wanted.map((it) => [formatTarget(it.id), it]));
  const outcomes: Outcome[] = [];
  await using queue = createMemoryQueue({ concurrency: app.config.engine.concurrency });
  for (const { mapping, id } of wanted)
    await queue.add({ target: id, mapping: mapping.name, reason: 'manual', requestId: recorder.requestId });
  queue.start(async ({ target }) => {
    const it = byTarget.get(formatTarget(target));
    if (it === undefined || signal?.aborted) return;
    const outcome = await reconcile(it.mapping, it.id, pass);
    outcomes.push(outcome);
    log(app.logger, outcome, recorder.requestId);
    onOutcome?.(outcome, outcomes.length, wanted.length);
  });
  await queue.idle();

  const summary = summarise(outcomes);
  const interrupted = outcomes.length < wanted.length;
  const ok = !interrupted && summary.refused + summary.held + summary.failed === 0;
  await recorder.sweep({ targets: outcomes.length, ...summary }, ok);
  return {
    ok,
    requestId: recorder.requestId,
    summary,
    targets: outcomes.sort((a, b) => compareTargets(a.target, b.target)),
    held: outcomes
      .filter(({ kind }) => kind === 'held')
      .map(({ mapping, target, keys }) => held(app.config.instance, mapping, target, keys)),
    interrupted,
  };
}

function summarise(outcomes: readonly Outcome[]): Summary {
  const count = (kind: OutcomeKind): number => outcomes.filter((outcome) => outcome.kind === kind).length;
  return Object.fromEntries(OUTCOMES.map((kind) => [kind, count(kind)])) as Record<OutcomeKind, number>;
}

/** `error`: a person must act · `warn`: it heals by itself · `info`: something changed · `debug`: the rest. */
function log(logger: Logger, { kind, mapping, target, error }: Outcome, requestId: string): void {
  const fields = { requestId, mapping, ...target, outcome: kind };
  if (error === undefined) {
    if (kind === 'unchanged') logger.debug('target is in step', fields);
    else logger.info('target changed', fields);
  } else if (healsItself(error.code))
    logger.warn('target not in step, will be tried again', { ...fields, error });
  else logger.error('target not in step, a person must act', { ...fields, error });
}
