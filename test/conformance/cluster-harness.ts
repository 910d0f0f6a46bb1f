import type { Cluster } from '../../src/cluster/cluster.ts';
import type { LiveSecret, MergeManifest, SecretChange, SecretManifest } from '../../src/core/secret.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import type { TargetId } from '../../src/core/target.ts';

export type Raw = Readonly<Record<string, unknown>>;

/** A cluster under test with an empty namespace, and a second writer. */
export interface ClusterHarness extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Creates a Secret as another writer. */
  put(id: TargetId, raw: Raw): Promise<void>;
  /** Merges labels, annotations and data into a Secret as the second writer. */
  edit(
    id: TargetId,
    patch: { metadata?: Raw; data?: Readonly<Record<string, string | null>> },
  ): Promise<void>;
  remove(id: TargetId): Promise<void>;
  raw(id: TargetId): Promise<Raw | undefined>;
  /** Sets the labels of the namespace. */
  label(labels: Readonly<Record<string, string>>): Promise<void>;
  /** Opens a second process on the same cluster with the same identity. */
  another(): Promise<Cluster>;
}

/** The suite writes only Secrets with these names, so minimal permissions are enough to run it. */
export const CONFORMANCE_SECRETS = ['app', 'foreign', 'tls.example.com'] as const;

export function manifest(part: Partial<SecretManifest> = {}): SecretManifest {
  return {
    type: 'Opaque',
    immutable: false,
    labels: { 'secretbridge.dev/instance': 'test', team: 'payments' },
    annotations: { 'secretbridge.dev/sources': '[]' },
    data: new Map([['password', SecretValue.fromText('p@ss\nwörd')]]),
    ...part,
  };
}

export function change(part: Partial<SecretChange> = {}): SecretChange {
  return { ...manifest(part), dropLabels: [], dropAnnotations: [], dropOwners: false, ...part };
}

/** Returns a manifest that merges keys into a Secret. The values are given as texts. */
export function mergeManifest(
  data: Readonly<Record<string, string>>,
  part: Partial<MergeManifest> = {},
): MergeManifest {
  const values = Object.entries(data).map(([key, text]) => [key, SecretValue.fromText(text)] as const);
  return { manager: 'secretbridge.test.app', labels: {}, annotations: {}, data: new Map(values), ...part };
}

export async function readNow(cluster: Cluster, id: TargetId): Promise<LiveSecret> {
  const live = await cluster.read(id);
  if (live === undefined) throw new Error(`${id.secret} is not there`);
  return live;
}

/** Returns the values of a Secret as texts, which are easier to compare. */
export function dataAsText(data: ReadonlyMap<string, SecretValue> | undefined): Record<string, string> {
  return Object.fromEntries(
    [...(data ?? [])].map(([key, value]) => [key, Buffer.from(value.reveal()).toString('latin1')]),
  );
}
