import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { App } from '../app/app.ts';
import { configText, textHash } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import { AppError } from '../core/errors.ts';
import { codeOf } from '../core/system-errors.ts';
import { instancesOf } from '../core/target.ts';
import { latestRecord } from '../reconcile/latest-records.ts';

// A file beside a SQLite store has the text of the last recorded configuration. With it, the next process can name what
// has changed. Beside PostgreSQL there is no such file, so a new process records only the hash.

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
}: Pick<App, 'audit' | 'config'>): Promise<LastConfiguration | undefined> {
  const hash = await lastHash(audit, config);
  if (hash === undefined) return undefined;
  const text = await readText(config);
  return text === undefined || textHash(text) !== hash ? { hash } : { hash, text };
}

async function lastHash(audit: App['audit'], config: Config): Promise<string | undefined> {
  try {
    const last = await latestRecord(audit, { outcome: 'ok' }, ['configure'], instancesOf(config));
    return last?.configHash;
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}

async function readText(config: Config): Promise<string | undefined> {
  const path = pathOf(config);
  try {
    return path && (await readFile(path, 'utf8'));
  } catch (thrown) {
    if (codeOf(thrown) === undefined) throw thrown;
    return undefined;
  }
}

/** Keeps the text of a recorded configuration. Ignores file errors: the next record then names no changes. */
export async function keepConfiguration(config: Config): Promise<void> {
  const path = pathOf(config);
  if (path === undefined) return;
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, configText(config), { mode: 0o600, flag: 'wx' });
    await rename(draft, path);
  } catch (thrown) {
    if (codeOf(thrown) === undefined) throw thrown;
    await Promise.allSettled([rm(draft, { force: true })]);
  }
}

function pathOf({ audit: { store }, instance }: Config): string | undefined {
  return store.kind === 'sqlite' ? join(dirname(store.path), `configuration.${instance}.json`) : undefined;
}
