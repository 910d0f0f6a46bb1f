import { parse } from 'yaml';
import { EXTERNAL_SECRETS } from '../../src/import/external-secrets/tool.ts';
import { readObjects } from '../../src/import/objects.ts';
import type { ImportResult, ObjectReport } from '../../src/import/result.ts';
import type { Defaults, Tool } from '../../src/import/tool.ts';
import { importVerified } from '../../src/import/verified.ts';

export const VAULT = store('vault', {
  vault: { server: 'https://vault.internal:8200', path: 'secret', auth: { kubernetes: { role: 'reader' } } },
});

export const AWS = store('aws', { aws: { service: 'SecretsManager', region: 'eu-west-1' } });

export const AZURE = store('azure', {
  azurekv: { vaultUrl: 'https://contoso.vault.azure.net', authType: 'ManagedIdentity' },
});

export function store(name: string, provider: object, more: object = {}) {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ClusterSecretStore',
    metadata: { name },
    spec: { provider, ...more },
  };
}

/** Returns an ExternalSecret `apps/db` that uses the store `vault`, unless overridden. */
export function external(spec: object, metadata: object = {}) {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ExternalSecret',
    metadata: { name: 'db', namespace: 'apps', ...metadata },
    spec: { secretStoreRef: { name: 'vault', kind: 'ClusterSecretStore' }, ...spec },
  };
}

export interface Mapping {
  readonly name: string;
  readonly target: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly dataFrom?: readonly Readonly<Record<string, unknown>>[];
  readonly template?: { readonly data: Readonly<Record<string, string>>; readonly only?: boolean };
  readonly [rule: string]: unknown;
}

export interface Imported {
  readonly result: ImportResult;
  readonly stores: readonly Readonly<Record<string, unknown>>[];
  readonly mappings: readonly Mapping[];
  readonly access: unknown;
  /** The first mapping. */
  readonly mapping: Mapping | undefined;
  report(kind: string, name: string): ObjectReport | undefined;
}

/** Imports objects of External Secrets and throws if the result has problems. */
export async function imported(...objects: readonly object[]): Promise<Imported> {
  return importedWith(EXTERNAL_SECRETS, objects);
}

/** Imports objects of a tool and throws if the result has problems. */
export async function importedWith(
  tool: Tool,
  objects: readonly object[],
  defaults: Defaults = {},
): Promise<Imported> {
  const texts = objects.map((object) => ({ name: 'in.json', text: JSON.stringify(object) }));
  const options = { instance: 'prod', ownNamespace: 'secretbridge', defaults };
  const { result, problems } = await importVerified(tool, readObjects(texts, 'default', tool.api), options);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const config = parse(result.config) as Partial<Record<'stores' | 'mappings' | 'access', never>>;
  const mappings: readonly Mapping[] = config.mappings ?? [];
  return {
    result,
    stores: config.stores ?? [],
    mappings,
    access: config.access,
    mapping: mappings[0],
    report: (kind, name) => result.objects.find((object) => object.kind === kind && object.name === name),
  };
}

/** Returns the paths of the lost or changed fields, in order. */
export function places(report: ObjectReport | undefined, level: 'changed' | 'lost'): readonly string[] {
  return report?.findings.filter((finding) => finding.level === level).map(({ at }) => at) ?? [];
}
