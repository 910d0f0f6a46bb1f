import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Fingerprinter } from '../../core/fingerprint.ts';
import { isObject, type JsonObject } from '../../core/json.ts';
import type { LiveSecret } from '../../core/secret.ts';
import type { TargetId } from '../../core/target.ts';
import type { WriteResult } from '../cluster.ts';
import { KUBECTL_YAML, objectIn, parseMap, textIn } from '../json.ts';
import { type RawSecret, toLive } from '../manifest.ts';
import { checkTarget } from '../names.ts';
import { directoryUnavailable, readWithMtime, writeFileAtomically } from './disk.ts';
import { readKey, readOrCreateKey, readState, writeState } from './state.ts';

/**
 * An annotation that stores the state of the file as JSON (see `FileState`). An API server stores this state in
 * `metadata` (uid, resourceVersion, managedFields), but `kubectl apply -f` would reject these fields in a file.
 */
const STATE = 'directory.secretbridge.dev/state';

export interface ReadFile {
  readonly bytes: Buffer;
  readonly raw: RawSecret;
  readonly live: LiveSecret;
}

/** The files of the Secrets in a directory. Only one process may write at a time. */
export class SecretFiles {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  pathOf({ namespace, secret }: TargetId): string {
    return join(this.#root, namespace, `${secret}.yaml`);
  }

  async load(id: TargetId): Promise<ReadFile | undefined> {
    checkTarget(id);
    const file = this.pathOf(id);
    const contents = await readWithMtime(file);
    if (contents === undefined) return undefined;
    const raw = fromFile(contents.bytes, id, contents.modified, await readKey(this.#root));
    const live = raw && toLive(raw, id);
    if (raw === undefined || live === undefined)
      throw directoryUnavailable(`${file} is not a manifest of this Secret`, { file });
    return { bytes: contents.bytes, raw, live };
  }

  /** @returns A conflict if the file exists and `exclusive` is set. */
  async write(
    id: TargetId,
    raw: RawSecret,
    {
      uid,
      version,
      exclusive,
    }: { readonly uid: string; readonly version: number; readonly exclusive: boolean },
  ): Promise<WriteResult> {
    const text = await this.#textOf(raw, uid, version);
    const written = await writeFileAtomically(this.pathOf(id), text, exclusive);
    if (written === undefined) return { kind: 'conflict' };
    return { kind: 'written', resourceVersion: `${version}-${written.toString(36)}` };
  }

  /** Keeps the resourceVersion if nothing changes, as an API server does. */
  async rewrite({ bytes, raw: before, live }: ReadFile, raw: RawSecret): Promise<WriteResult> {
    const { id, uid, resourceVersion } = live;
    if ((await this.#textOf(raw, uid, versionOf(before))) === bytes.toString('utf8'))
      return { kind: 'written', resourceVersion };
    return this.write(id, raw, { uid, version: versionOf(before) + 1, exclusive: false });
  }

  async #textOf(raw: RawSecret, uid: string, version: number): Promise<string> {
    return toFile(raw, uid, version, await readOrCreateKey(this.#root));
  }
}

/**
 * Parses a manifest and adds the fields that an API server would add. Returns `undefined` if the file is not a manifest
 * of this Secret.
 */
export function fromFile(
  bytes: Buffer,
  id: TargetId,
  modified: bigint,
  fingerprints?: Fingerprinter,
): RawSecret | undefined {
  const raw = parseYaml(bytes);
  const data = raw && dataOf(raw);
  if (raw === undefined || data === undefined) return undefined;
  const metadata = objectIn(raw, 'metadata') ?? {};
  const { [STATE]: text, ...annotations } = objectIn(metadata, 'annotations') ?? {};
  const { stringData: _, ...rest } = raw;
  const completed = { ...rest, data, metadata: { ...metadata, annotations } };
  const { uid, version, managedFields } = readState(text, id, completed, fingerprints);
  return {
    ...completed,
    metadata: {
      ...completed.metadata,
      namespace: metadata.namespace ?? id.namespace,
      uid: uid ?? textIn(metadata, 'uid') ?? uidOf(id),
      // The version combines our counter with the modification time, because a manual edit changes only the time. A
      // hash of the content would let an attacker verify guesses of the values.
      resourceVersion: `${version}-${modified.toString(36)}`,
      ...(managedFields === undefined ? {} : { managedFields }),
    },
  };
}

/** @param version The new value of the file's version counter. */
export function toFile(raw: RawSecret, uid: string, version: number, fingerprints: Fingerprinter): string {
  const {
    uid: _,
    resourceVersion: __,
    managedFields: ___,
    annotations,
    ...metadata
  } = objectIn(raw, 'metadata') ?? {};
  const state = writeState(raw, { uid, version }, fingerprints);
  const kept = isObject(annotations) ? annotations : {};
  // Do not fold lines, so that a base64 value stays on one line and can be searched and compared.
  return stringify(
    { ...raw, metadata: { ...metadata, annotations: { ...kept, [STATE]: state } } },
    KUBECTL_YAML,
  );
}

function versionOf(raw: RawSecret): number {
  return Number.parseInt(textIn(objectIn(raw, 'metadata') ?? {}, 'resourceVersion') ?? '0', 10);
}

export function parseYaml(bytes: Buffer): JsonObject | undefined {
  try {
    return parseMap(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof TypeError) return undefined; // The value is not UTF-8.
    throw error;
  }
}

/** `stringData` takes precedence over `data`, as in an API server. */
function dataOf(raw: JsonObject): JsonObject | undefined {
  const data = Object.entries(objectIn(raw, 'data') ?? {});
  const texts = Object.entries(objectIn(raw, 'stringData') ?? {});
  if (!data.every(([, value]) => value === null || isBase64(value))) return undefined;
  if (!texts.every(([, value]) => typeof value === 'string')) return undefined;
  return Object.fromEntries([
    // Remove line breaks from base64, as an API server does.
    ...data.map(([key, value]) => [key, String(value ?? '').replaceAll(/[\r\n]/g, '')]),
    ...texts.map(([key, value]) => [key, Buffer.from(String(value), 'utf8').toString('base64')]),
  ]);
}

function isBase64(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const text = value.replaceAll(/[\r\n]/g, '');
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** A manifest written by hand has no uid, so derive a stable one from its name. */
function uidOf({ namespace, secret }: TargetId): string {
  const hex = createHash('sha256').update(`${namespace}/${secret}`).digest('hex');
  return hex.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
