import { AppError } from '../core/errors.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import type { WatchScope } from './cluster.ts';

/** DNS label (RFC 1123): namespaces. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
/** DNS subdomain (RFC 1123): Secrets. */
const SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** A name becomes part of a path, in a URL or on a disk: with this check neither `..` nor `/` gets that far. */
export function checkTarget(id: TargetId): void {
  if (!LABEL.test(id.namespace)) throw invalid(id, 'the namespace is not a DNS label');
  if (!SUBDOMAIN.test(id.secret)) throw invalid(id, 'the name is not a DNS subdomain');
}

function invalid(id: TargetId, detail: string): AppError {
  return new AppError('CONFIG_INVALID', { about: JSON.stringify(formatTarget(id)), detail });
}

export function checkNamespace(namespace: string): void {
  if (LABEL.test(namespace)) return;
  const about = `namespace ${JSON.stringify(namespace)}`;
  throw new AppError('CONFIG_INVALID', { about, detail: 'it is not a DNS label' });
}

export function checkScope({ namespace, secret }: WatchScope): void {
  if (secret === undefined) checkNamespace(namespace);
  else checkTarget({ namespace, secret });
}

/** For messages. */
export function formatScope({ namespace, secret }: WatchScope): string {
  return secret === undefined ? `Secrets of namespace ${namespace}` : formatTarget({ namespace, secret });
}

export function isNamespaceName(name: string): boolean {
  return LABEL.test(name);
}

export function isSecretName(name: string): boolean {
  return SUBDOMAIN.test(name);
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
const LABEL_NAME = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-\w.]{0,61}[A-Za-z0-9])?)?$/;

/** The labels as a selector. With this check, no comma, `!` or parenthesis can widen what it selects. */
export function selectorOf(labels: Readonly<Record<string, string>>): string {
  for (const [name, value] of Object.entries(labels)) {
    if (LABEL_NAME.test(name) && LABEL_VALUE.test(value)) continue;
    throw new AppError('CONFIG_INVALID', {
      about: `label ${JSON.stringify(name)}`,
      detail: 'its name or value is not that of a label',
    });
  }
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
