import {
  AssignTag,
  BreakTag,
  CaptureTag,
  CaseTag,
  CommentTag,
  type Context,
  ContinueTag,
  defaultOperators,
  type Emitter,
  evalToken,
  ForTag,
  IfTag,
  InlineCommentTag,
  Liquid,
  type Operators,
  RawTag,
  type Template,
  UnlessTag,
} from 'liquidjs';
import { BoundedOutput, budgetOf, TemplateError } from './budget.ts';
import { FILTERS } from './filters.ts';
import { integerOf, isCollection, listOf, plain, textOf } from './values.ts';

class BoundedCapture extends CaptureTag {
  override *render(context: Context): Generator<unknown, void, string> {
    const output = new BoundedOutput(budgetOf(context));
    yield this.liquid.renderer.renderTemplates(this.templates, context, output);
    context.bottom()[this.variable] = output.buffer;
  }
}

/** A `for` tag that accepts only lists and objects. Liquid would treat a text as one item, which is never intended. */
class BoundedFor extends ForTag {
  override *render(context: Context, emitter: Emitter): Generator<unknown, void, Template[]> {
    const { renderer } = this.liquid;
    const budget = budgetOf(context);
    const all = listOf(yield evalToken(this.collection, context), budget);
    const { offset = 0, limit = all.length, reversed = false } = yield* this.#modifiers(context);
    const from = Math.max(0, integerOf(offset));
    const selected = all.slice(from, from + Math.max(0, integerOf(limit)));
    const items = reversed === false ? selected : selected.reverse();
    if (items.length === 0) {
      yield renderer.renderTemplates(this.elseTemplates, context, emitter);
      return;
    }
    for (const [index, item] of items.entries()) {
      context.push(scopeOf({ [this.variable]: item, forloop: position(index, items.length) }));
      context.continueCalled = context.breakCalled = false;
      yield renderer.renderTemplates(this.templates, context, emitter);
      context.pop();
      if (context.breakCalled) break;
    }
    context.continueCalled = context.breakCalled = false;
  }

  *#modifiers(
    context: Context,
  ): Generator<unknown, { offset?: unknown; limit?: unknown; reversed?: unknown }> {
    return (yield this.hash.render(context)) as Record<string, unknown>;
  }
}

/** Creates an object without a prototype, so that templates can reach only its own members. */
function scopeOf(members: Readonly<Record<string, unknown>>): object {
  return Object.assign(Object.create(null), members);
}

function position(index: number, length: number): object {
  return scopeOf({
    index: index + 1,
    index0: index,
    rindex: length - index,
    rindex0: length - index - 1,
    first: index === 0,
    last: index === length - 1,
    length,
  });
}

/** The supported tags. The others load templates, keep state between renderings, or are useless here. */
const TAGS: Liquid['tags'] = {
  assign: AssignTag,
  break: BreakTag,
  capture: BoundedCapture,
  case: CaseTag,
  comment: CommentTag,
  continue: ContinueTag,
  for: BoundedFor,
  if: IfTag,
  raw: RawTag,
  unless: UnlessTag,
  '#': InlineCommentTag,
};

const ORDERS: readonly string[] = ['<', '<=', '>', '>='];

/** Operators with their costs. A binary operator costs the size of both operands; `contains` costs a search. */
const operators: Operators = Object.fromEntries(
  Object.entries(defaultOperators).map(([name, operator]): [string, Operators[string]] => {
    if (operator.length < 2 || name === 'not') return [name, operator];
    return [
      name,
      (left: unknown, right: unknown, context: Context) => {
        const budget = budgetOf(context);
        const [a, b] = [plain(left), plain(right)];
        if (name === 'contains' && typeof a === 'string') budget.search(a, textOf(b, budget));
        else for (const value of [a, b]) budget.spend(sizeOf(value));
        // JavaScript treats a missing value as 0, so `GONE < 3` would be true although `nil < 3` is false in Liquid.
        if (ORDERS.includes(name) && [a, b].some(hasNoOrder)) return false;
        return operator(left, right, context);
      },
    ];
  }),
);

function sizeOf(value: unknown): number {
  return typeof value === 'string' || Array.isArray(value) ? value.length : 1;
}

/** Whether a value cannot be ordered in comparisons, such as nil. @throws TemplateError for a list or an object. */
function hasNoOrder(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (isCollection(value)) throw new TemplateError('lists and objects have no order');
  return false;
}

/**
 * Creates a LiquidJS engine in strict mode, without LiquidJS's own filters and without file access. The engine keeps no
 * state between renderings.
 */
export function createEngine(): Liquid {
  const liquid = new Liquid({
    strictFilters: true,
    strictVariables: true,
    ownPropertyOnly: true,
    // An empty set of templates replaces the file system.
    templates: {},
    // The engine defines `size` in every scope. Setting it to undefined makes `size` an unknown variable.
    globals: scopeOf({ size: undefined }),
    locale: 'en',
    operators,
    outputEscape(this: { context: Context }, value: unknown) {
      return textOf(value, budgetOf(this.context));
    },
  });
  for (const name of Object.keys(liquid.tags)) delete liquid.tags[name];
  for (const [name, tag] of Object.entries(TAGS)) liquid.registerTag(name, tag);
  for (const name of Object.keys(liquid.filters)) liquid.unregisterFilter(name);
  for (const [name, { run }] of Object.entries(FILTERS))
    liquid.registerFilter(name, function (input: unknown, ...args: unknown[]) {
      return run(budgetOf(this.context), input, ...args);
    });
  return liquid;
}
