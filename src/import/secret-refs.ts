import type { Node } from './node.ts';
import type { Notes } from './notes.ts';

/** A Secret that the user has to copy to the bridge's namespace. */
export interface SecretCopy {
  readonly namespace: string;
  readonly name: string;
  /** The name of the copy in the bridge's own namespace. */
  readonly as: string;
}

export interface SecretRefs {
  /**
   * Converts a reference to a credential. Returns `undefined` and adds a note if that is not possible.
   * @param owner The namespace of the referring object; `undefined` for a cluster-scoped object.
   */
  refer(ref: Node | undefined, key: string | undefined, of: Referrer): Reference | undefined;
  readonly copies: readonly SecretCopy[];
}

export interface Reference {
  readonly secretRef: { readonly name: string; readonly key: string };
}

export interface Referrer {
  readonly namespace: string | undefined;
  readonly notes: Notes;
}

/** @param own The bridge's own namespace. The bridge reads credentials only there. */
export function createSecretRefs(own: string): SecretRefs {
  const copies = new Map<string, SecretCopy>();
  return {
    refer(ref, defaultKey, { namespace: owner, notes }) {
      if (ref === undefined) return undefined;
      const name = ref.text('name');
      const key = ref.text('key') ?? defaultKey;
      const named = ref.text('namespace');
      // A SecretStore reads only in its own namespace, even if the reference names another one.
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
        `the bridge reads credentials only in its own namespace: Secret \`${copy.as}\` instead of \`${id}\``,
        `Copy Secret ${id} to ${own}/${copy.as}.`,
      );
      return { secretRef: { name: copy.as, key } };
    },
    get copies() {
      return [...copies.values()].toSorted((a, b) => (a.as < b.as ? -1 : 1));
    },
  };
}
