import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Desired } from './desired.ts';
import { keyCollision } from './keys.ts';
import type { TargetSource } from './marks.ts';
import { type Compiled, compileTemplate, type TemplateProblem } from './template/compile.ts';
import { describeSource } from './value.ts';

type Spec = NonNullable<Mapping['template']>;

/** One parse for the life of a configuration, however often its mappings are rendered. */
const parsed = new WeakMap<Spec, ReadonlyMap<string, Compiled>>();

function compiled(spec: Spec): ReadonlyMap<string, Compiled> {
  const known = parsed.get(spec);
  if (known !== undefined) return known;
  const all = new Map(Object.entries(spec.data).map(([key, text]) => [key, compileTemplate(text)]));
  parsed.set(spec, all);
  return all;
}

/**
 * The data of a target: what its sources give, and what its templates make of that. A failed template leaves nothing,
 * so that what was there stays.
 * @throws AppError TEMPLATE_INVALID or TEMPLATE_FAILED, with line and column; KEY_COLLISION.
 */
export function withTemplates(
  { data: named, template }: Pick<Mapping, 'data' | 'template'>,
  { data, sources }: Pick<Extract<Desired, { kind: 'ready' }>, 'data' | 'sources'>,
): ReadonlyMap<string, SecretValue> {
  if (template === undefined) return data;
  // What an optional source does not give can be asked for; any other unknown name is a mistake.
  const absent = Object.keys(named).filter((key) => named[key]?.optional === true && !data.has(key));
  const made = new Map<string, SecretValue>();
  for (const [key, it] of compiled(template)) {
    if (data.has(key)) throw keyCollision(key, giverOf(sources.get(key)), `template ${key}`);
    if (it.kind === 'invalid') throw failure('TEMPLATE_INVALID', key, it.problem);
    const rendered = it.template.render(data, absent);
    if (rendered.kind === 'failed') throw failure('TEMPLATE_FAILED', key, rendered.problem, rendered.cause);
    made.set(key, rendered.value);
  }
  return template.only ? made : new Map([...data, ...made]);
}

/** Without its version, which a mapping may not name. */
function giverOf(source: TargetSource | undefined): string {
  return source === undefined ? 'a source' : describeSource({ ...source, version: undefined });
}

function failure(
  code: 'TEMPLATE_INVALID' | 'TEMPLATE_FAILED',
  key: string,
  { line, column, message }: TemplateProblem,
  cause?: unknown,
): AppError {
  return new AppError(code, {
    about: `template ${key}`,
    detail: `line ${line}, column ${column}: ${message}`,
    cause,
  });
}
