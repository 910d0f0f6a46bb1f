import { Context, type Liquid } from 'liquidjs';

/** The limits of one template. All but the last count work instead of time, so that results are reproducible. */
export const LIMITS = {
  /** Length of the template, in UTF-16 units. */
  templateLength: 64 * 1024,
  /** Nesting of blocks and of brackets. */
  depth: 50,
  /** Output in bytes: the maximum size of a Secret. */
  outputBytes: 1024 * 1024,
  /** Length of one intermediate text, in UTF-16 units. */
  textLength: 1024 * 1024,
  listLength: 10_000,
  /** Rendered pieces of the template, counting each iteration of a loop. */
  steps: 100_000,
  /** Characters that filters and operators read or create. */
  work: 50_000_000,
  /** A fallback in case something costs more than it counts. */
  milliseconds: 5000,
} as const;

/** Why a template cannot be parsed or rendered. The message never contains a value. */
export class TemplateError extends Error {}

/** The remaining budget of one rendering. */
export class Budget {
  #steps: number = LIMITS.steps;
  #work: number = LIMITS.work;
  #end: number | undefined;

  /** @param now Milliseconds of a monotonic clock, from the engine. */
  step(now: number): void {
    this.#steps -= 1;
    if (this.#steps < 0) throw new TemplateError(`it takes more than ${LIMITS.steps} steps`);
    this.#end ??= now + LIMITS.milliseconds;
    if (now > this.#end) throw new TemplateError(`it takes longer than ${LIMITS.milliseconds} ms`);
  }

  spend(work: number): void {
    this.#work -= work;
    if (this.#work < 0) throw new TemplateError('it works on too much text');
  }

  /** Call before creating a text. @param newCharacters The number of characters to copy. */
  text(length: number, newCharacters = length): void {
    if (length > LIMITS.textLength)
      throw new TemplateError(`it makes a text of more than ${LIMITS.textLength} characters`);
    this.spend(newCharacters);
  }

  /** Call before creating a list. */
  list(length: number): void {
    if (length > LIMITS.listLength)
      throw new TemplateError(`it makes a list of more than ${LIMITS.listLength} items`);
    this.spend(length);
  }

  /** A search costs at most the product of both lengths. */
  search(text: string, pattern: string): void {
    this.spend(text.length * Math.max(1, pattern.length));
  }
}

/** The engine's state of one rendering, with its budget. */
export class BoundedContext extends Context {
  readonly budget = new Budget();

  constructor(scope: object, liquid: Liquid) {
    super(scope, liquid.options, { sync: true }, { liquid });
    // The engine calls this before it renders each piece of a template.
    this.renderLimit.check = (now) => this.budget.step(now);
    // Only ranges use this. They are not available, because their loop never ends from 2^53 on. `inspect.ts` reports
    // them earlier.
    this.memoryLimit.use = () => {
      throw new TemplateError('ranges such as `(1..3)` are not available');
    };
  }
}

export function budgetOf(context: Context): Budget {
  if (context instanceof BoundedContext) return context.budget;
  throw new TemplateError('it is rendered without bounds');
}

/** The output of a template. */
export class BoundedOutput {
  readonly #budget: Budget;
  buffer = '';

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: unknown): void {
    const chunk = String(text);
    this.#budget.text(this.buffer.length + chunk.length, chunk.length);
    this.buffer += chunk;
  }
}
