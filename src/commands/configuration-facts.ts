import { randomUUID } from 'node:crypto';
import type { App } from '../app/app.ts';
import { type Actor, type Entry, MAX_CHANGES, NO_KEYS } from '../audit/entry.ts';
import { type ConfigTexts, configChanges, configHash } from '../config/changes.ts';
import type { Config } from '../config/config.ts';
import type { FieldChange } from '../core/json.ts';
import { keepConfiguration, lastConfiguration } from './last-configuration.ts';

/** What the record of an active configuration says about it. */
export type ConfigurationFacts = Pick<Entry, 'changes' | 'configHash' | 'revision' | 'counts'>;

type Env = Readonly<Record<string, string | undefined>>;

/** A record has at most 64 KiB. */
const MAX_CHANGES_BYTES = 40 * 1_024;
const MAX_REVISION = 200;

/** @param before The configuration that was active before, or its texts, if it is known. */
export function configurationFacts(
  config: Config,
  env: Env,
  before?: Config | ConfigTexts,
): ConfigurationFacts {
  const revision = env.SECRETBRIDGE_CONFIG_REVISION?.slice(0, MAX_REVISION);
  return {
    ...(before === undefined ? {} : limitChanges(configChanges(before, config))),
    configHash: configHash(config),
    ...(revision === undefined || revision === '' ? {} : { revision }),
  };
}

function limitChanges(all: readonly FieldChange[]): Pick<Entry, 'changes' | 'counts'> {
  let room = MAX_CHANGES_BYTES;
  const changes: FieldChange[] = [];
  for (const change of all.slice(0, MAX_CHANGES)) {
    room -= Buffer.byteLength(JSON.stringify(change));
    if (room < 0) break;
    changes.push(change);
  }
  const changesLeftOut = all.length - changes.length;
  return {
    ...(changes.length === 0 ? {} : { changes }),
    ...(changesLeftOut === 0 ? {} : { counts: { changesLeftOut } }),
  };
}

/** Returns a record about the configuration. */
export function configureEntry(
  actor: Actor,
  what: Pick<Entry, 'outcome' | 'note' | 'code'> & ConfigurationFacts,
): Entry {
  const base = { action: 'configure', sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 } as const;
  return { ...base, actor, requestId: randomUUID(), ...what };
}

/** Describes the size of a configuration for the note of its record. */
export function sizeText({
  stores,
  mappings,
}: {
  readonly stores: readonly unknown[];
  readonly mappings: readonly unknown[];
}): string {
  return `stores: ${stores.length}, mappings: ${mappings.length}`;
}

/** Records the configuration of a one-shot run, if it differs from the last recorded one. */
export async function recordConfiguration(
  { audit, config }: Pick<App, 'audit' | 'config'>,
  { actor, env }: { readonly actor: Actor; readonly env: Env },
): Promise<void> {
  const last = await lastConfiguration({ audit, config });
  if (last?.hash === configHash(config)) return;
  const facts = configurationFacts(config, env, last?.texts);
  await audit.append([configureEntry(actor, { outcome: 'ok', note: sizeText(config), ...facts })]);
  await keepConfiguration({ audit, config });
}
