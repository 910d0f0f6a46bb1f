import { createNotes, type Notes } from '../node.ts';
import type { ToolObject } from '../objects.ts';

/** An object that other objects name, with its findings and what uses it. */
export interface Named {
  readonly object: ToolObject;
  readonly notes: Notes;
  /** The names of the stores or mappings that use the object. */
  readonly users: Set<string>;
}

/** Finds the objects of one kind by reference. */
export interface NamedObjects {
  readonly all: readonly Named[];
  /**
   * @param ref A name, or a namespace and a name with a `/` between. `undefined`: the default object of the operator.
   * @param namespace The namespace of the referring object.
   */
  find(ref: string | undefined, namespace: string): Named | undefined;
}

const OPERATOR_NAMESPACE = /^vault-secrets-operator/;

export function namedObjects(objects: readonly ToolObject[], kind: string): NamedObjects {
  const all = objects
    .filter((object) => object.kind === kind)
    .map((object) => ({ object, notes: createNotes(), users: new Set<string>() }));
  const at = (namespace: string, name: string) =>
    all.find(({ object }) => object.namespace === namespace && object.name === name);
  return {
    all,
    find(ref, namespace) {
      if (ref === undefined) {
        // The namespace of the operator is a setting of its installation, so a single default object counts too.
        const defaults = all.filter(({ object }) => object.name === 'default');
        const own = defaults.find(({ object }) => OPERATOR_NAMESPACE.test(object.namespace ?? ''));
        return own ?? (defaults.length === 1 ? defaults[0] : undefined);
      }
      const [first = '', second] = ref.split('/');
      return second === undefined ? at(namespace, first) : at(first, second);
    },
  };
}
