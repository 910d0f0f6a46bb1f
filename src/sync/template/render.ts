import { SecretValue } from '../../core/secret-value.ts';
import { defineTask } from '../../core/worker-thread.ts';
import { Allowance, LIMITS } from './budget.ts';
import { compileTemplate, remainingCompileCost, type TemplateProblem } from './compile.ts';

/** The templates of a mapping and their data. Values are bytes, so that they can be copied to the worker thread. */
export interface RenderInput {
  /** Pairs of key and template. */
  readonly templates: readonly (readonly [key: string, text: string])[];
  readonly data: ReadonlyMap<string, Uint8Array>;
  /** Names of absent optional sources. A template may use them. Any other unknown name is an error. */
  readonly absent: readonly string[];
}

export type RenderOutput =
  | { readonly kind: 'done'; readonly values: ReadonlyMap<string, Uint8Array> }
  | {
      readonly kind: 'failed';
      readonly code: 'TEMPLATE_INVALID' | 'TEMPLATE_FAILED';
      readonly key: string;
      readonly problem: TemplateProblem;
    }
  /** All outputs together are larger than a Secret may be. */
  | { readonly kind: 'too-large' };

/** The work of a mapping that is done in the main thread. It takes at most about 20 ms. */
const SMALL = { compileCost: 1_000, steps: 1_000, work: 500_000 };

/** Renders the templates in the calling thread. Returns undefined if they cause too much work for the main thread. */
export function renderIfSmall(input: RenderInput): RenderOutput | undefined {
  const cost = input.templates.reduce((sum, [, text]) => sum + remainingCompileCost(text), 0);
  if (cost > SMALL.compileCost) return undefined;
  const allowance = new Allowance(SMALL);
  const output = renderAll(input, allowance);
  return allowance.isExceeded ? undefined : output;
}

/** For the worker thread: renders the templates, whatever their work is. */
export function renderTemplates(input: RenderInput): RenderOutput {
  return renderAll(input);
}

export const RENDER = defineTask(import.meta.url, renderTemplates);

function renderAll({ templates, data, absent }: RenderInput, allowance?: Allowance): RenderOutput {
  const secrets = new Map([...data].map(([name, bytes]) => [name, SecretValue.fromBytes(bytes)]));
  const values = new Map<string, Uint8Array>();
  let size = 0;
  for (const [key, text] of templates) {
    const compiled = compileTemplate(text);
    if (compiled.kind === 'invalid')
      return { kind: 'failed', code: 'TEMPLATE_INVALID', key, problem: compiled.problem };
    const result = compiled.template.render(secrets, absent, allowance);
    if (result.kind === 'failed')
      return { kind: 'failed', code: 'TEMPLATE_FAILED', key, problem: result.problem };
    size += result.value.size;
    if (size > LIMITS.outputBytes) return { kind: 'too-large' };
    values.set(key, result.value.reveal());
  }
  return { kind: 'done', values };
}
