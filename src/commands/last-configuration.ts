import type { App } from '../app/app.ts';
import { configText, textHash } from '../config/changes.ts';
import { AppError } from '../core/errors.ts';
import { instancesOf } from '../core/target.ts';
import { latestRecord } from '../reconcile/latest-records.ts';

// The audit store keeps the text of the last recorded configuration. With it, the next process can name what has
// changed.

type ConfiguredApp = Pick<App, 'audit' | 'config'>;

/** The configuration that a process recorded last. */
export interface LastConfiguration {
  readonly hash: string;
  /** The result of `configText`. Undefined if it is not known here. */
  readonly text?: string;
}

/**
 * Returns the last recorded configuration. The text is believed only if its hash is in the record. While the audit is
 * down, nothing is known.
 */
export async function lastConfiguration({
  audit,
  config,
}: ConfiguredApp): Promise<LastConfiguration | undefined> {
  return unlessDown(async () => {
    const last = await latestRecord(audit, { outcome: 'ok' }, ['configure'], instancesOf(config));
    const hash = last?.configHash;
    if (hash === undefined) return undefined;
    const text = await audit.configuration(config.instance);
    return text === undefined || textHash(text) !== hash ? { hash } : { hash, text };
  });
}

/** Keeps the text of a recorded configuration. While the audit is down, the next record names no changes. */
export async function keepConfiguration({ audit, config }: ConfiguredApp): Promise<void> {
  await unlessDown(() => audit.keepConfiguration(config.instance, configText(config)));
}

async function unlessDown<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}
