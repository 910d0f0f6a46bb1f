import { randomBytes, randomUUID } from 'node:crypto';

/** A version of a secret, as in the documentation of Secrets Manager. */
export interface StoredVersion {
  readonly id: string;
  readonly value: string | Uint8Array;
  readonly createdAt: number;
  readonly stages: Set<string>;
}

export interface StoredSecret {
  readonly arn: string;
  readonly name: string;
  readonly versions: StoredVersion[];
  readonly tags: Readonly<Record<string, string>>;
  /** Seconds since 1970. */
  deletedAt: number | undefined;
}

export interface PutOptions {
  readonly tags?: Readonly<Record<string, string>>;
  readonly versionId?: string;
  readonly stages?: readonly string[];
  /** The six characters that follow the name in the ARN. */
  readonly suffix?: string;
}

const SUFFIX_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

export class AwsStore {
  readonly #secrets = new Map<string, StoredSecret>();
  readonly #prefix: string;

  constructor(region: string, account: string) {
    this.#prefix = `arn:aws:secretsmanager:${region}:${account}:secret:`;
  }

  /**
   * Adds a version with the stages to a secret, and creates the secret if needed. The default stage is AWSCURRENT.
   * Without a value, adds no version.
   */
  put(name: string, value: string | Uint8Array | undefined, options: PutOptions = {}): StoredSecret {
    const existing = this.#secrets.get(name);
    const suffix = options.suffix ?? randomText(6);
    const secret = {
      arn: existing?.arn ?? `${this.#prefix}${name}-${suffix}`,
      name,
      versions: existing?.versions ?? [],
      tags: options.tags ?? existing?.tags ?? {},
      deletedAt: existing?.deletedAt,
    };
    this.#secrets.set(name, secret);
    if (value !== undefined) addVersion(secret, value, options);
    return secret;
  }

  /** Deletes a secret immediately, or schedules its deletion. */
  remove(name: string, how: 'schedule' | 'force'): void {
    const secret = this.#secrets.get(name);
    if (how === 'force') this.#secrets.delete(name);
    else if (secret !== undefined) secret.deletedAt = Math.floor(Date.now() / 1000) + 7 * 86_400;
  }

  /**
   * Finds a secret by its name, its ARN, or its ARN without the six characters at the end. Like AWS, does not find such
   * a shorter ARN if the name itself ends with a hyphen and six characters.
   */
  get(id: string): StoredSecret | undefined {
    const existing = this.#secrets.get(id);
    if (existing !== undefined) return existing;
    const all = [...this.#secrets.values()];
    const isComplete = /-[A-Za-z0-9]{6}$/.test(id);
    return all.find(({ arn }) => arn === id) ?? all.find(({ arn }) => !isComplete && arn.slice(0, -7) === id);
  }

  all(): readonly StoredSecret[] {
    return [...this.#secrets.values()];
  }
}

function addVersion(secret: StoredSecret, value: string | Uint8Array, options: PutOptions): void {
  const stages = options.stages ?? ['AWSCURRENT'];
  const before = secret.versions.find((version) => version.stages.has('AWSCURRENT'));
  for (const stage of stages) for (const version of secret.versions) version.stages.delete(stage);
  if (before !== undefined && stages.includes('AWSCURRENT')) {
    for (const version of secret.versions) version.stages.delete('AWSPREVIOUS');
    before.stages.add('AWSPREVIOUS');
  }
  secret.versions.push({
    id: options.versionId ?? randomUUID(),
    value,
    createdAt: Date.now() / 1000,
    stages: new Set(stages),
  });
}

export function randomText(length: number): string {
  return [...randomBytes(length)].map((byte) => SUFFIX_CHARACTERS[byte % SUFFIX_CHARACTERS.length]).join('');
}
