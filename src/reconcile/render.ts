import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import { workerThread } from '../core/worker-thread.ts';
import type { Desired } from '../sync/desired.ts';
import { RENDER, type RenderInput, type RenderOutput, renderIfSmall } from '../sync/template/render.ts';
import type { Rendered } from '../sync/template.ts';

/** The default of `limits.templateTime`. */
export const TEMPLATE_TIME_MS = 1_000;

/** The limit for the work of one mapping, and the group of mappings that share the worker thread with others. */
export interface MappingBudget {
  readonly group: string;
  /** Processor time, in milliseconds. */
  readonly timeMs: number;
}

export interface RenderDeps {
  /** Default: one second, and one group for each namespace. */
  readonly budgetOf?: ((mapping: Mapping, id: TargetId) => MappingBudget) | undefined;
}

export function budgetOf(mapping: Mapping, id: TargetId, deps: RenderDeps): MappingBudget {
  return deps.budgetOf?.(mapping, id) ?? { group: id.namespace, timeMs: TEMPLATE_TIME_MS };
}

/** Templates that were too much work for the main thread. They are not tried there again. */
const largeTemplates = new WeakSet<object>();

/**
 * Renders the templates of a mapping. The main thread renders small ones; the worker thread renders the others and is
 * ended if they take too long. Returns undefined if the mapping has no templates or its sources failed.
 */
export async function render(
  mapping: Mapping,
  id: TargetId,
  desired: Desired,
  deps: RenderDeps,
): Promise<Rendered | undefined> {
  const { template, data: dataSources } = mapping;
  if (template === undefined || desired.kind === 'failed') return undefined;
  const input: RenderInput = {
    templates: Object.entries(template.data),
    data: new Map([...desired.data].map(([key, value]) => [key, value.reveal()])),
    absent: Object.keys(dataSources).filter(
      (key) => dataSources[key]?.optional === true && !desired.data.has(key),
    ),
  };
  const output = largeTemplates.has(template) ? undefined : renderIfSmall(input);
  if (output !== undefined) return renderedOf(output);
  largeTemplates.add(template);
  const { group, timeMs } = budgetOf(mapping, id, deps);
  const result = await workerThread.run(RENDER, input, { group, timeMs });
  if (result.kind === 'done') return renderedOf(result.output);
  return new AppError('LIMIT_REACHED', {
    subject: 'template',
    detail: `the templates of mapping ${mapping.name} need more than ${timeMs} ms of processor time, or too much memory`,
  });
}

function renderedOf(output: RenderOutput): Rendered {
  if (output.kind === 'done')
    return new Map([...output.values].map(([key, bytes]) => [key, SecretValue.fromBytes(bytes)]));
  if (output.kind === 'too-large')
    return new AppError('TOO_LARGE', { detail: 'the output of the templates has more than 1 MiB' });
  const { code, key, problem } = output;
  return new AppError(code, {
    subject: `template ${key}`,
    detail: `line ${problem.line}, column ${problem.column}: ${problem.message}`,
  });
}
