import type { Node } from './node.ts';
import type { Notes } from './notes.ts';

/** One key of a Secret of theirs that ours has to have too. */
export interface SecretCopy {
  readonly namespace: string;
  readonly name: string;
  /** Its name in the bridge's own namespace. */
  readonly as: string;
}

export interface SecretRefs {
  /**
   * Where the bridge finds a credential; `undefined` if it cannot be said, and then that is noted.
   * @param owner The namespace of the object that refers to it; none for an object of the whole cluster.
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

/** @param own The bridge's own namespace: the only one in which it reads credentials. */
export function createSecretRefs(own: string): SecretRefs {
  const copies = new Map<string, SecretCopy>();
  return {
    refer(ref, defaultKey, { namespace: owner, notes }) {
      if (ref === undefined) return undefined;
      const name = ref.text('name');
      const key = ref.text('key') ?? defaultKey;
      const named = ref.text('namespace');
      // Their namespaced stores read in their own namespace only, whatever is said here.
      const namespace = owner ?? named;
      // They stand in commands that people copy, so what no API server would take is not handed on.
      const parts = [name, key, namespace ?? ''];
      if (
        name === undefined ||
        key === undefined ||
        parts.some((part) => /[^-._a-zA-Z0-9]/.test(part ?? ''))
      ) {
        notes.lost(ref.path, 'names no Secret and key', 'Correct the object, and import it again.');
        return undefined;
      }
      if (namespace === undefined) {
        notes.lost(
          ref.path,
          'names no namespace: each namespace then logs in with a Secret of its own',
          'Write one store for each namespace, and allow it there only by `access`.',
        );
        return undefined;
      }
      if (namespace === own) return { secretRef: { name, key } };
      const id = `${namespace}/${name}`;
      const copy = copies.get(id) ?? { namespace, name, as: `${namespace}.${name}` };
      copies.set(id, copy);
      notes.changed(
        ref.path,
        `the bridge reads credentials in its own namespace only: Secret \`${copy.as}\` instead of \`${id}\``,
        `Copy Secret ${id} to ${own}/${copy.as}.`,
      );
      return { secretRef: { name: copy.as, key } };
    },
    get copies() {
      return [...copies.values()].toSorted((a, b) => (a.as < b.as ? -1 : 1));
    },
  };
}
