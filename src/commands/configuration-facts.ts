import { type Entry, type FieldChange, MAX_CHANGES } from '../audit/entry.ts';
import { configChanges, configHash } from '../config/changes.ts';
import type { Config } from '../config/config.ts';

/** What the record of an active configuration says about it. */
export type ConfigurationFacts = Pick<Entry, 'changes' | 'configHash' | 'revision' | 'counts'>;

type Env = Readonly<Record<string, string | undefined>>;

/** A record has at most 64 KiB. */
const MAX_CHANGES_BYTES = 40 * 1_024;
const MAX_REVISION = 200;

/** @param before The configuration that was active before, if it is known. */
export function configurationFacts(config: Config, env: Env, before?: Config): ConfigurationFacts {
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
