import { AppError } from '../core/errors.ts';
import { formatTarget, type TargetId } from '../core/target.ts';

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
