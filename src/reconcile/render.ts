import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { SecretValue } from '../core/secret-value.ts';
import type { TargetId } from '../core/target.ts';
import { workerThread } from '../core/worker-thread.ts';
import type { Desired } from '../sync/desired.ts';
import { RENDER, type RenderInput, type RenderOutput, renderIfSmall } from '../sync/template/render.ts';
import type { Rendered } from '../sync/template.ts';

/** The time for the work of a mapping in the operator's own files, in milliseconds. */
export const OWN_TIME_MS = 1_000;

/** The limit for the work of one mapping, and the group of mappings that share the worker thread with others. */
export interface MappingBudget {
  readonly group: string;
  /** Processor time, in milliseconds. */
  readonly timeMs: number;
  /** Maximum size of all outputs. */
  readonly bytes: number;
}

/**
 * Returns the budget of a mapping. The mappings of one `include` form a group, and so do the operator's mappings for one
 * namespace. Groups take turns.
 */
export function budgetOf({ include }: Mapping, { namespace }: TargetId): MappingBudget {
  if (include === undefined)
    return { group: `namespace ${namespace}`, timeMs: OWN_TIME_MS, bytes: Number.POSITIVE_INFINITY };
  const { templateTimeMs, templateBytes } = include.limits;
  return { group: include.path, timeMs: templateTimeMs, bytes: templateBytes };
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
  const { group, timeMs, bytes } = budgetOf(mapping, id);
  const output = largeTemplates.has(template) ? undefined : renderIfSmall(input);
  if (output !== undefined) return renderedOf(output, bytes);
  largeTemplates.add(template);
  const result = await workerThread.run(RENDER, input, { group, timeMs });
  if (result.kind === 'done') return renderedOf(result.output, bytes);
  const setting = mapping.include === undefined ? '' : ' (`limits.templateTime`)';
  return limitReached(
    `the templates of mapping ${mapping.name} need more than ${timeMs} ms of processor time${setting}, or too much memory`,
  );
}

function limitReached(detail: string): AppError {
  return new AppError('LIMIT_REACHED', { subject: 'template', detail });
}

function renderedOf(output: RenderOutput, maxBytes: number): Rendered {
  if (output.kind === 'done') {
    const size = [...output.values.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (size > maxBytes)
      return limitReached(`the output has ${size} bytes, and \`limits.templateBytes\` is ${maxBytes}`);
    return new Map([...output.values].map(([key, bytes]) => [key, SecretValue.fromBytes(bytes)]));
  }
  if (output.kind === 'too-large')
    return new AppError('TOO_LARGE', { detail: 'the output of the templates has more than 1 MiB' });
  const { code, key, problem } = output;
  return new AppError(code, {
    subject: `template ${key}`,
    detail: `line ${problem.line}, column ${problem.column}: ${problem.message}`,
  });
}
