import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { Mapping, Source } from '../../src/core/mapping.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import type { LiveSecret, SecretChange, SecretManifest } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { PlanInput } from '../../src/sync/plan-types.ts';

// Small complete objects for tests of pure code. Each test sets only the fields that matter to it.

export const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7)));

export function source(part: Partial<Source> = {}): Source {
  return { store: 'vault', key: 'app', optional: false, ...part };
}

export function mapping(
  part: Partial<Omit<Mapping, 'target'>> & { target?: Partial<Mapping['target']> } = {},
): Mapping {
  return {
    name: 'app',
    data: {},
    dataFrom: [],
    restart: [],
    refreshMs: 300_000,
    onConflict: 'refuse',
    onDrift: 'repair',
    onSourceMissing: 'keep',
    softDeletedIsMissing: false,
    onMappingRemoved: 'keep',
    ...part,
    target: {
      namespaces: ['apps'],
      secret: 'app',
      type: 'Opaque',
      labels: {},
      annotations: {},
      immutable: false,
      recreate: false,
      mode: 'own',
      ...part.target,
    },
  };
}

export function found(text: string, version = '1'): ReadResult {
  return { kind: 'found', value: SecretValue.fromText(text), version };
}

export function data(entries: Readonly<Record<string, string>>): Map<string, SecretValue> {
  return new Map(Object.entries(entries).map(([key, text]) => [key, SecretValue.fromText(text)]));
}

export function texts(values: ReadonlyMap<string, SecretValue>): Record<string, string> {
  return Object.fromEntries(
    [...values].map(([key, value]) => [key, Buffer.from(value.reveal()).toString('utf8')]),
  );
}

export function live(part: Partial<LiveSecret> = {}): LiveSecret {
  return {
    id: { namespace: 'apps', secret: 'app' },
    uid: 'u1',
    resourceVersion: '1',
    type: 'Opaque',
    immutable: false,
    labels: {},
    annotations: {},
    data: new Map(),
    controlled: false,
    deleting: false,
    ours: undefined,
    ...part,
  };
}

export function planInput(part: Partial<PlanInput> = {}): PlanInput {
  return {
    id: { namespace: 'apps', secret: 'app' },
    instance: 'prod',
    formerInstances: [],
    mapping: mapping(),
    isDesiredBy: () => false,
    desired: { kind: 'ready', data: new Map(), sources: new Map(), absent: [] },
    isProvenAbsent: () => false,
    live: undefined,
    merged: [],
    stores: new Map([['vault', 'hash']]),
    fingerprints,
    ...part,
  };
}

/** Simulates the Secret in the cluster after a create or an update. */
export function applied(manifest: SecretManifest | SecretChange, before?: LiveSecret): LiveSecret {
  const drop =
    'dropLabels' in manifest ? manifest : { dropLabels: [], dropAnnotations: [], dropOwners: false };
  const without = (old: Readonly<Record<string, string>>, names: readonly string[]) =>
    Object.fromEntries(Object.entries(old).filter(([name]) => !names.includes(name)));
  return live({
    ...before,
    type: manifest.type,
    immutable: manifest.immutable,
    labels: { ...without(before?.labels ?? {}, drop.dropLabels), ...manifest.labels },
    annotations: { ...without(before?.annotations ?? {}, drop.dropAnnotations), ...manifest.annotations },
    data: manifest.data,
    controlled: drop.dropOwners ? false : (before?.controlled ?? false),
    ours: { labels: Object.keys(manifest.labels), annotations: Object.keys(manifest.annotations) },
    resourceVersion: String(Number(before?.resourceVersion ?? 0) + 1),
  });
}
