import { createHash } from 'node:crypto';
import type { Json, Node, Notes } from './node.ts';
import type { Account, ToolObject } from './objects.ts';

const MAX = 63;

export interface Names {
  /**
   * Chooses a valid, unique name. The name depends only on the object itself, unless an earlier object already has the
   * same preferred name.
   */
  take(preferred: string, identity: string): string;
}

export function createNames(): Names {
  const taken = new Set<string>();
  return {
    take(preferred, identity) {
      const plain = plainName(preferred);
      const name = plain.length <= MAX && !taken.has(plain) ? plain : withHash(plain, identity);
      taken.add(name);
      return name;
    },
  };
}

function plainName(preferred: string): string {
  const plain = preferred
    .toLowerCase()
    .replace(/[^-a-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  return plain === '' ? 'unnamed' : plain;
}

function withHash(plain: string, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8);
  return `${plain.slice(0, MAX - hash.length - 1).replace(/[-.]+$/, '')}-${hash}`;
}

/** A Secret that the user has to copy to the namespace of secretbridge. */
export interface SecretCopy {
  readonly namespace: string;
  readonly name: string;
  /** The name of the copy in the namespace of secretbridge. */
  readonly as: string;
}

export interface SecretRefs {
  /**
   * Converts a reference to a credential. Returns `undefined` and adds a note if that is not possible.
   * @param of The referring object. Its namespace is `undefined` for a cluster-scoped object.
   */
  refer(ref: Node | undefined, key: string | undefined, of: Referrer): Reference | undefined;
  readonly copies: readonly SecretCopy[];
}

interface Reference {
  readonly secretRef: { readonly name: string; readonly key: string };
}

interface Referrer {
  readonly namespace: string | undefined;
  readonly notes: Notes;
}

/** @param own The namespace in which secretbridge itself runs. secretbridge reads credentials only there. */
export function createSecretRefs(own: string): SecretRefs {
  const copies = new Map<string, SecretCopy>();
  return {
    refer(ref, defaultKey, { namespace: owner, notes }) {
      if (ref === undefined) return undefined;
      const name = ref.text('name');
      const key = ref.text('key') ?? defaultKey;
      const named = ref.text('namespace');
      // A SecretStore reads only in its own namespace, even if the reference names another namespace.
      const namespace = owner ?? named;
      // Reject invalid names, because these names appear in commands that users copy.
      const parts = [name, key, namespace ?? ''];
      if (
        name === undefined ||
        key === undefined ||
        parts.some((part) => /[^-._a-zA-Z0-9]/.test(part ?? ''))
      ) {
        notes.lost(ref.path, 'names no Secret and key', 'Fix the object, and import it again.');
        return undefined;
      }
      if (namespace === undefined) {
        notes.lost(
          ref.path,
          'names no namespace, so each namespace logs in with its own Secret',
          'Write one store for each namespace, and limit it to that namespace with `access`.',
        );
        return undefined;
      }
      if (namespace === own) return { secretRef: { name, key } };
      const id = `${namespace}/${name}`;
      const copy = copies.get(id) ?? { namespace, name, as: `${namespace}.${name}` };
      copies.set(id, copy);
      notes.changed(
        ref.path,
        `secretbridge reads credentials only in its own namespace: Secret \`${copy.as}\` instead of \`${id}\``,
        `Copy Secret ${id} to ${own}/${copy.as}.`,
      );
      return { secretRef: { name: copy.as, key } };
    },
    get copies() {
      return [...copies.values()].toSorted((a, b) => (a.as < b.as ? -1 : 1));
    },
  };
}

/** The store and key of a converted source. */
interface Place {
  readonly store: string;
  readonly key: string;
  readonly object?: 'certificate' | 'key';
}

/** A converted store. */
export interface Store {
  readonly kind: 'vault' | 'aws-secrets-manager' | 'aws-parameter-store' | 'azure-key-vault';
  readonly name: string;
  readonly kvVersion?: 1 | 2;
  /** The prefix that External Secrets adds to each key. */
  readonly prefix?: string;
  /** Converts a key. Returns `undefined` and adds a note if the key is not valid in this store. */
  place(key: string, notes: Notes, at: string): Place | undefined;
  /** The name of the store that searches use. `undefined` if the store cannot be searched. */
  readonly searched: string | undefined;
  /** Converts the path of a search. Default: unchanged. */
  readonly searchPath?: (path: string) => string;
  /** Returns the store configurations: one store, or one for each mount that is used. */
  readonly storeConfigs: () => readonly Json[];
}

export interface StoreContext {
  readonly object: ToolObject;
  readonly name: string;
  readonly names: Names;
  readonly notes: Notes;
  readonly secrets: SecretRefs;
  readonly account: (ref: Node | undefined) => Account | undefined;
}

/** Returns the path at which secretbridge expects a file that belongs to a store. */
export function storeFile(store: string, file: string): string {
  return `/var/run/secretbridge/stores/${store}/${file}`;
}

/**
 * Returns the service account that External Secrets uses for the store. secretbridge logs in with its own service
 * account, so its own account needs the same role.
 */
export function accountOf(
  ref: Node | undefined,
  owner: string | undefined,
): { namespace: string; name: string } | undefined {
  const name = ref?.text('name');
  const namespace = owner ?? ref?.text('namespace');
  ref?.ignore('namespace');
  return name === undefined || namespace === undefined ? undefined : { namespace, name };
}
