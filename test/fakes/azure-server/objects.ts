import { randomBytes } from 'node:crypto';

export interface Attributes {
  enabled?: boolean;
  /** In milliseconds since 1970. The fake answers in seconds. */
  notBefore?: number;
  expires?: number;
}

export interface PutOptions extends Attributes {
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Whether the object belongs to a certificate of the same name. */
  readonly managed?: boolean;
  /** The id of the version. By default, it is random. */
  readonly version?: string;
}

export interface Version<Content> {
  readonly id: string;
  readonly content: Content;
  readonly createdAt: number;
  updatedAt: number;
  options: PutOptions;
}

interface Held<Content> {
  readonly name: string;
  readonly versions: Version<Content>[];
  /** Until this time, requests do not find the object at its new address. */
  readonly visibleAt: number;
}

/** The objects of one kind in a vault: secrets, keys or certificates. They have versions and can be soft-deleted. */
export interface Objects<Content> {
  /** Adds a version and makes it the current version. Returns the id of the version. */
  put(name: string, content: Content, options?: PutOptions): string;
  /** Changes the attributes of the given version. The default is the current version. */
  update(name: string, options: PutOptions, version?: string): void;
  /** Soft-deletes an object. */
  remove(name: string): void;
  recover(name: string): void;
  /** Removes a soft-deleted object permanently. */
  purge(name: string): void;
  get(name: string, version?: string): Version<Content> | undefined;
  getDeleted(name: string): Version<Content> | undefined;
  /** Returns the name and the current version of every object. */
  list(): readonly { readonly name: string; readonly version: Version<Content> }[];
  /** Returns a name in its original spelling. Key Vault finds a name in any letter case. */
  nameOf(name: string): string;
}

/**
 * @param deletionLagMs Returns how long the new address of an object denies it after a deletion or recovery. The old
 * address denies it immediately.
 */
export function createObjects<Content>(
  now: () => number,
  deletionLagMs: () => number = () => 0,
): Objects<Content> {
  const live = new Map<string, Held<Content>>();
  const deleted = new Map<string, Held<Content>>();
  const move = (name: string, from: typeof live, to?: typeof live) => {
    const id = name.toLowerCase();
    const entry = from.get(id);
    if (entry === undefined) throw new Error(`no such object: ${name}`);
    from.delete(id);
    to?.set(id, { ...entry, visibleAt: now() + deletionLagMs() });
  };
  const isVisible = ({ visibleAt }: Held<Content>) => visibleAt <= now();
  const visible = (name: string, among: typeof live) => {
    const entry = among.get(name.toLowerCase());
    return entry !== undefined && isVisible(entry) ? entry : undefined;
  };
  const find = (name: string, version?: string) => {
    const versions = visible(name, live)?.versions;
    return version === undefined ? versions?.at(-1) : versions?.find(({ id }) => id === version);
  };
  return {
    put(name, content, options = {}) {
      const id = options.version ?? randomBytes(16).toString('hex');
      const entry = live.get(name.toLowerCase()) ?? { name, versions: [], visibleAt: 0 };
      entry.versions.push({ id, content, createdAt: now(), updatedAt: now(), options });
      live.set(name.toLowerCase(), entry);
      return id;
    },
    update(name, options, version) {
      const object = find(name, version);
      if (object === undefined) throw new Error(`no such object: ${name}`);
      object.options = { ...object.options, ...options };
      object.updatedAt = now();
    },
    remove: (name) => move(name, live, deleted),
    recover: (name) => move(name, deleted, live),
    purge: (name) => move(name, deleted),
    get: find,
    getDeleted: (name) => visible(name, deleted)?.versions.at(-1),
    list: () =>
      [...live.values()]
        .filter(isVisible)
        .flatMap(({ name, versions }) => versions.slice(-1).map((version) => ({ name, version })))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    nameOf: (name) => live.get(name.toLowerCase())?.name ?? name,
  };
}
