import { SecretValue } from '../../../src/core/secret-value.ts';
import { compileTemplate } from '../../../src/sync/template/compile.ts';
import type { TemplateProblem } from '../../../src/sync/template/inspect.ts';

export type Values = Readonly<Record<string, string | Uint8Array>>;

export function valuesOf(values: Values): Map<string, SecretValue> {
  return new Map(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? SecretValue.fromText(value) : SecretValue.fromBytes(value),
    ]),
  );
}

/** Renders a template, and returns its output or its problem. */
export function run(
  text: string,
  values: Values = {},
  absent: readonly string[] = [],
): string | TemplateProblem {
  const compiled = compileTemplate(text);
  if (compiled.kind === 'invalid') return compiled.problem;
  const rendered = compiled.template.render(valuesOf(values), absent);
  if (rendered.kind === 'failed') return rendered.problem;
  return Buffer.from(rendered.value.reveal()).toString('utf8');
}
