import { LiquidError, type Template as Node, toValueSync, UndefinedVariableError } from 'liquidjs';
import { LRUCache } from 'lru-cache';
import { SecretValue } from '../../core/secret-value.ts';
import { type Allowance, BoundedContext, BoundedOutput, LIMITS, TemplateError } from './budget.ts';
import { createEngine } from './engine.ts';
import { FILTERS } from './filters.ts';
import { depthProblem, inspect, problemAt, quote, type TemplateProblem } from './inspect.ts';
import { freeNames } from './names.ts';
import { inspectTags } from './tags.ts';
import { type Binary, fromBytes } from './values.ts';

export type { TemplateProblem };

/** A compiled template that can be rendered repeatedly. */
export interface Template {
  /**
   * Renders the template. The result is deterministic.
   * @param absent Names without a value. In a condition they are false; printing one is an error.
   * @param allowance The work that all templates of the mapping may cause. Default: no limit besides those of a template.
   */
  render(data: ReadonlyMap<string, SecretValue>, absent: readonly string[], allowance?: Allowance): Rendered;
}

export type Rendered =
  | { readonly kind: 'done'; readonly value: SecretValue }
  | { readonly kind: 'failed'; readonly problem: TemplateProblem; readonly cause: unknown };

export type Compiled =
  | { readonly kind: 'template'; readonly template: Template }
  | { readonly kind: 'invalid'; readonly problem: TemplateProblem };

const engine = createEngine();

/**
 * The maximum total cost of the cached templates. A compiled template needs about a kilobyte of memory for each unit of
 * its cost.
 */
const MAX_CACHED_COST = 20_000;

const compiledTemplates = new LRUCache<string, Compiled>({
  maxSize: MAX_CACHED_COST,
  sizeCalculation: (_, text) => compileCost(text),
});

export function compileTemplate(text: string): Compiled {
  const cached = compiledTemplates.get(text);
  if (cached !== undefined) return cached;
  const nodes = parse(text);
  const compiled: Compiled = Array.isArray(nodes)
    ? { kind: 'template', template: { render: (...options) => render(nodes, ...options) } }
    : { kind: 'invalid', problem: nodes };
  compiledTemplates.set(text, compiled);
  return compiled;
}

/** Returns the cost of compiling a template, or 0 if it is already compiled. */
export function remainingCompileCost(text: string): number {
  return compiledTemplates.has(text) ? 0 : compileCost(text);
}

/**
 * Estimates the cost of compiling a template, in units of about 10 microseconds. The parser visits each character, and
 * creates objects for each output, tag and filter.
 */
export function compileCost(text: string): number {
  const parts = text.match(/\{[{%]|\|/g)?.length ?? 0;
  return 1 + parts + Math.ceil(text.length / 50);
}

/**
 * Finds problems of a template without its data.
 * @param names The names that the template may use, if all are known.
 */
export function checkTemplate(text: string, names?: readonly string[]): TemplateProblem | undefined {
  const nodes = parse(text);
  if (!Array.isArray(nodes)) return nodes;
  if (names === undefined) return undefined;
  const knownNames = new Set(names);
  for (const { name, token } of freeNames(nodes))
    if (!knownNames.has(name)) {
      const message = `there is no key ${quote(name)}${hint(token.getText(), names)}`;
      return { ...problemAt(token, message), unknown: { name, known: names } };
    }
  return undefined;
}

function parse(text: string): Node[] | TemplateProblem {
  if (text.length > LIMITS.templateLength)
    return {
      line: 1,
      column: 1,
      message: `the template has more than ${LIMITS.templateLength} characters`,
    };
  try {
    const problem = depthProblem(text, engine);
    if (problem !== undefined) return problem;
    const nodes = engine.parse(text);
    for (const problem of inspect(nodes, engine)) return problem;
    for (const problem of inspectTags(text, engine)) return problem;
    return nodes;
  } catch (error) {
    if (!LiquidError.is(error)) throw error;
    const name = unknownFilter(error);
    const unknown = name === undefined ? {} : { unknown: { name, known: Object.keys(FILTERS) } };
    return { ...problemAt(error.token, parseMessage(error)), ...unknown };
  }
}

function unknownFilter({ message }: LiquidError): string | undefined {
  return /^undefined filter: ([\w-]+)/.exec(message)?.[1];
}

/** Our messages replace the messages of the engine. Only the names in them are used. */
function parseMessage(error: LiquidError): string {
  const { message, token } = error;
  const filter = unknownFilter(error);
  if (filter !== undefined) return `there is no filter ${quote(filter)}`;
  const tag = /^tag "([^"]*)" not found/.exec(message)?.[1];
  if (tag !== undefined) return `there is no tag ${quote(tag)}, or it is not expected here`;
  const text = token.getText();
  // The text after an open mark may be anything, also a value.
  if (/ not closed/.test(message)) return `${quote(openingOf(text))} is not closed`;
  if (text.trim() === '') return 'something is missing here';
  return `${quote(text.replace(/(["'])[\s\S]*?(?:\1|$)/g, '$1…$1'))} is not understood`;
}

/** Returns a complete tag. Otherwise, returns the mark and the name after it, such as `{{ DB_PASSWORD`. */
function openingOf(text: string): string {
  if (/^\{%[^%{}]*%\}$/.test(text)) return text;
  return /^\{[{%]-?\s*[\w.]*/.exec(text)?.[0].trimEnd() ?? text.slice(0, 2);
}

function render(
  nodes: Node[],
  data: ReadonlyMap<string, SecretValue>,
  absent: readonly string[],
  allowance?: Allowance,
): Rendered {
  const context = new BoundedContext(scopeOf(data, absent), engine, allowance);
  try {
    const output = new BoundedOutput(context.budget);
    toValueSync(engine.renderer.renderTemplates(nodes, context, output));
    return { kind: 'done', value: bytesOf(output.buffer) };
  } catch (cause) {
    if (LiquidError.is(cause))
      return { kind: 'failed', problem: problemAt(cause.token, reason(cause, [...data.keys()])), cause };
    if (!(cause instanceof TemplateError)) throw cause;
    return { kind: 'failed', problem: { line: 1, column: 1, message: cause.message }, cause };
  }
}

/** Show only our own messages. The engine's messages can contain values, as in `{{ object[PASSWORD] }}`. */
function reason(error: LiquidError, names: readonly string[]): string {
  const { originalError } = error;
  if (originalError instanceof TemplateError) return originalError.message;
  if (!(error instanceof UndefinedVariableError)) return 'it cannot be rendered';
  const text = error.token.getText();
  return `there is no ${quote(text)}${hint(text, names)}`;
}

function hint(text: string, names: readonly string[]): string {
  return text.includes('.') && names.includes(text) ? `; the key is written \`["${text}"]\`` : '';
}

function bytesOf(text: string): SecretValue {
  if (!text.isWellFormed()) throw new TemplateError('the output holds half of a surrogate pair');
  const value = SecretValue.fromText(text);
  if (value.size > LIMITS.outputBytes)
    throw new TemplateError(`the output has more than ${LIMITS.outputBytes} bytes`);
  return value;
}

/**
 * Creates the scope of a template. Each value is decoded at its first use, because many keys are not used. The scope
 * has no prototype, so a template cannot reach inherited properties.
 */
function scopeOf(data: ReadonlyMap<string, SecretValue>, absent: readonly string[]): object {
  const scope: object = Object.create(null);
  for (const name of absent) Object.defineProperty(scope, name, { value: null, enumerable: true });
  for (const [name, value] of data) {
    let decoded: string | Binary | undefined;
    const get = () => {
      decoded ??= fromBytes(value.reveal(), `the value of ${quote(name)}`);
      return decoded;
    };
    Object.defineProperty(scope, name, { get, enumerable: true, configurable: true });
  }
  return scope;
}
