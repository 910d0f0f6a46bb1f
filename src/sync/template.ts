import { AppError } from '../core/errors.ts';
import { keyCollision, type Mapping } from '../core/mapping.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Desired } from './desired.ts';
import type { TargetSource } from './ownership-metadata.ts';
import { type Compiled, compileTemplate } from './template/compile.ts';
import type { TemplateProblem } from './template/inspect.ts';
import { describeSource } from './value.ts';

type Spec = NonNullable<Mapping['template']>;

/** Each template is compiled once per configuration. */
const compiledTemplates = new WeakMap<Spec, ReadonlyMap<string, Compiled>>();

function compileAll(spec: Spec): ReadonlyMap<string, Compiled> {
  const cached = compiledTemplates.get(spec);
  if (cached !== undefined) return cached;
  const all = new Map(Object.entries(spec.data).map(([key, text]) => [key, compileTemplate(text)]));
  compiledTemplates.set(spec, all);
  return all;
}

/**
 * Returns the data of a target with its rendered templates. If one template fails, the whole target fails and keeps its
 * existing content.
 * @throws AppError TEMPLATE_INVALID or TEMPLATE_FAILED, with line and column; KEY_COLLISION.
 */
export function withTemplates(
  { data: dataSources, template }: Pick<Mapping, 'data' | 'template'>,
  { data, sources }: Pick<Extract<Desired, { kind: 'ready' }>, 'data' | 'sources'>,
): ReadonlyMap<string, SecretValue> {
  if (template === undefined) return data;
  // A template may use the names of absent optional sources. Any other unknown name is an error.
  const absent = Object.keys(dataSources).filter(
    (key) => dataSources[key]?.optional === true && !data.has(key),
  );
  const renderedValues = new Map<string, SecretValue>();
  for (const [key, compiledTemplate] of compileAll(template)) {
    if (data.has(key)) throw keyCollision(key, describeGiver(sources.get(key)), `template ${key}`);
    if (compiledTemplate.kind === 'invalid') throw failure('TEMPLATE_INVALID', key, compiledTemplate.problem);
    const result = compiledTemplate.template.render(data, absent);
    if (result.kind === 'failed') throw failure('TEMPLATE_FAILED', key, result.problem, result.cause);
    renderedValues.set(key, result.value);
  }
  return template.only ? renderedValues : new Map([...data, ...renderedValues]);
}

/** Describes a source without its version, because the mapping need not name a version. */
function describeGiver(source: TargetSource | undefined): string {
  return source === undefined ? 'a source' : describeSource({ ...source, version: undefined });
}

function failure(
  code: 'TEMPLATE_INVALID' | 'TEMPLATE_FAILED',
  key: string,
  { line, column, message }: TemplateProblem,
  cause?: unknown,
): AppError {
  return new AppError(code, {
    subject: `template ${key}`,
    detail: `line ${line}, column ${column}: ${message}`,
    cause,
  });
}
