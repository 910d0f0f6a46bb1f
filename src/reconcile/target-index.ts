import type { Difference } from '../core/lists.ts';
import { compareText, type TargetId } from '../core/target.ts';
import { type DesiredTarget, UNKNOWN_NAMESPACE } from './targets.ts';

/**
 * The targets by namespace and Secret. Several mappings may want one Secret. An update costs what has changed, and not
 * the number of targets. The nested maps save memory, because no key combines namespace and Secret.
 */
export class TargetIndex {
  /** A single target has no list, to save memory. */
  readonly #namespaces = new Map<string, Map<string, DesiredTarget | readonly DesiredTarget[]>>();

  update({ removed, added }: Difference<DesiredTarget>): void {
    for (const target of removed) this.#remove(target);
    for (const target of added) this.#add(target);
  }

  /** Returns the targets with this id, sorted by the name of their mapping. */
  get({ namespace, secret }: TargetId): readonly DesiredTarget[] {
    return listOf(this.#namespaces.get(namespace)?.get(secret));
  }

  inNamespace(namespace: string): readonly DesiredTarget[] {
    return [...(this.#namespaces.get(namespace)?.values() ?? [])].flatMap(listOf);
  }

  /** Whether a mapping wants a target. With an unresolved selector, it may want its Secret in any namespace. */
  wants(
    mapping: string,
    { namespace, secret }: TargetId,
    isAllowed: (target: DesiredTarget) => boolean = () => true,
  ): boolean {
    const isOf = (target: DesiredTarget) => target.mapping.name === mapping && isAllowed(target);
    return (
      this.get({ namespace, secret }).some(isOf) ||
      this.get({ namespace: UNKNOWN_NAMESPACE, secret }).some(isOf)
    );
  }

  #add(target: DesiredTarget): void {
    const { namespace, secret } = target.id;
    const secrets =
      this.#namespaces.get(namespace) ?? new Map<string, DesiredTarget | readonly DesiredTarget[]>();
    this.#namespaces.set(namespace, secrets);
    const others = secrets.get(secret);
    secrets.set(secret, others === undefined ? target : [...listOf(others), target].sort(byName));
  }

  #remove(target: DesiredTarget): void {
    const { namespace, secret } = target.id;
    const secrets = this.#namespaces.get(namespace);
    const others = listOf(secrets?.get(secret)).filter((other) => other !== target);
    if (others.length > 0) secrets?.set(secret, others);
    else if (secrets?.delete(secret) && secrets.size === 0) this.#namespaces.delete(namespace);
  }
}

const NONE: readonly DesiredTarget[] = [];

function listOf(targets: DesiredTarget | readonly DesiredTarget[] | undefined): readonly DesiredTarget[] {
  if (targets === undefined) return NONE;
  return 'mapping' in targets ? [targets] : targets;
}

function byName(a: DesiredTarget, b: DesiredTarget): number {
  return compareText(a.mapping.name, b.mapping.name);
}
