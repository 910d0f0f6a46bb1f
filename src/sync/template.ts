import { AppError } from '../core/errors.ts';
import { keyCollision, type Mapping } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Desired } from './desired.ts';
import type { TargetSource } from './ownership-metadata.ts';
import { describeSource } from './value.ts';

/** The outputs of a mapping's templates by key, or the reason why there are none. */
export type Rendered = ReadonlyMap<string, SecretValue> | AppError;

/**
 * Returns the data of a target with its rendered templates. If one template fails, the whole target fails and keeps its
 * existing content.
 * @param rendered May be undefined only if the mapping has no templates.
 * @throws AppError TEMPLATE_INVALID or TEMPLATE_FAILED, with line and column; KEY_COLLISION; LIMIT_REACHED.
 */
export function withTemplates(
  { template }: Pick<Mapping, 'template'>,
  { data, sources }: Pick<Extract<Desired, { kind: 'ready' }>, 'data' | 'sources'>,
  rendered: Rendered | undefined,
): ReadonlyMap<string, SecretValue> {
  if (template === undefined) return data;
  for (const key of Object.keys(template.data))
    if (data.has(key)) throw keyCollision(key, describeGiver(sources.get(key)), `template ${key}`);
  if (rendered === undefined) throw new AppError('INTERNAL', { detail: 'the templates were not rendered' });
  if (rendered instanceof AppError) throw rendered;
  return template.only ? rendered : new Map([...data, ...rendered]);
}

/** Describes a source without its version, because the mapping need not name a version. */
function describeGiver(source: TargetSource | undefined): string {
  return source === undefined ? 'a source' : describeSource({ ...source, version: undefined });
}
