import type { App } from '../app/app.ts';
import { type ConfigTexts, changedTexts, configHash, configTexts, textsHash } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { instancesOf } from '../core/target.ts';
import { latestRecord } from '../reconcile/latest-records.ts';

// The audit store keeps the texts of the last recorded configuration. With them, the next process can name what has
// changed.

type ConfiguredApp = Pick<App, 'audit' | 'config'>;

/** The configuration that a process recorded last. */
export interface LastConfiguration {
  readonly hash: string;
  /** Whether it is the configuration of this process, and its texts are kept. */
  readonly isKept: boolean;
  /** The result of `configTexts`. Undefined if it is not known here, or is not needed. */
  readonly texts?: ConfigTexts;
}

/**
 * Returns the last recorded configuration. The texts are believed only if their hash is in the record. While the audit
 * is down, nothing is known.
 */
export async function lastConfiguration({
  audit,
  config,
}: ConfiguredApp): Promise<LastConfiguration | undefined> {
  return unlessDown(async () => {
    const last = await latestRecord(audit, { outcome: 'ok' }, ['configure'], instancesOf(config));
    const hash = last?.configHash;
    if (hash === undefined) return undefined;
    const isKept = (await audit.keptConfiguration(config.instance)) === hash;
    // An unchanged configuration needs no comparison.
    if (!isKept || hash === configHash(config)) return { hash, isKept };
    const texts = await audit.configuration(config.instance);
    return { hash, isKept: false, ...(textsHash(texts) === hash ? { texts } : {}) };
  });
}

/**
 * Keeps the texts of a recorded configuration. While the audit is down, the next record names no changes.
 *
 * @param before The configuration that was kept before, if it is known. Then only the changes are written.
 */
export async function keepConfiguration({ audit, config }: ConfiguredApp, before?: Config): Promise<void> {
  const { instance } = config;
  const hash = configHash(config);
  await unlessDown(async () => {
    const isChanged =
      before !== undefined &&
      (await audit.keepConfiguration(instance, {
        ...{ from: configHash(before), hash },
        ...changedTexts(before, config),
      }));
    if (isChanged) return;
    await audit.keepConfiguration(instance, {
      ...{ from: undefined, hash, parts: configTexts(config), removed: [] },
    });
  });
}

async function unlessDown<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}
