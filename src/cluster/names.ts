import { AppError } from '../core/errors.ts';
import { formatSelector, type LabelSelector } from '../core/label-selector.ts';
import {
  formatTarget,
  isLabelKey,
  isLabelValue,
  isNamespaceName,
  isSecretName,
  type TargetId,
} from '../core/target.ts';
import type { WatchScope } from './cluster.ts';

/** Validates names before they become part of a URL or a file path. A valid name contains no `..` and no `/`. */
export function checkTarget(id: TargetId): void {
  if (!isNamespaceName(id.namespace)) throw invalid(id, 'the namespace is not a DNS label');
  if (!isSecretName(id.secret)) throw invalid(id, 'the name is not a DNS subdomain');
}

function invalid(id: TargetId, detail: string): AppError {
  return new AppError('CONFIG_INVALID', { subject: JSON.stringify(formatTarget(id)), detail });
}

export function checkNamespace(namespace: string): void {
  if (isNamespaceName(namespace)) return;
  const subject = `namespace ${JSON.stringify(namespace)}`;
  throw new AppError('CONFIG_INVALID', { subject, detail: 'the namespace is not a DNS label' });
}

export function checkScope({ namespace, secret }: WatchScope): void {
  if (secret === undefined) checkNamespace(namespace);
  else checkTarget({ namespace, secret });
}

/** Formats a scope for messages. */
export function formatScope({ namespace, secret }: WatchScope): string {
  return secret === undefined ? `Secrets of namespace ${namespace}` : formatTarget({ namespace, secret });
}

/**
 * Formats a label selector for the API server. The check rejects characters that would widen the selection, such as a
 * comma, `!` or parenthesis.
 */
export function selectorOf(selector: LabelSelector): string {
  const { matchLabels = {}, matchExpressions = [] } = selector;
  const required = matchExpressions.map(({ key, values }) => [key, ...values] as const);
  for (const [name, ...values] of [...Object.entries(matchLabels), ...required]) {
    if (isLabelKey(name) && values.every(isLabelValue)) continue;
    throw new AppError('CONFIG_INVALID', {
      subject: `label ${JSON.stringify(name)}`,
      detail: 'the name or value is not valid for a label',
    });
  }
  return formatSelector(selector);
}
