import { Context, type Liquid } from 'liquidjs';

/** The limits of one template. They limit the work instead of the time, so that results are reproducible. */
export const LIMITS = {
  /** Length of the template in UTF-16 units. */
  templateLength: 64 * 1024,
  /** Nesting of blocks and of brackets. */
  depth: 50,
  /** Size of the output in bytes, which is the maximum size of a Secret. */
  outputBytes: 1024 * 1024,
  /** Length of one intermediate text in UTF-16 units. */
  textLength: 1024 * 1024,
  listLength: 10_000,
  /** Number of rendered template parts. Each iteration of a loop counts. */
  steps: 100_000,
  /** Number of characters that filters and operators read or create. */
  work: 50_000_000,
} as const;

/** A template that cannot be parsed or rendered. The message never contains a value. */
export class TemplateError extends Error {}

/** The work that all templates of a mapping may cause together. */
export class Allowance {
  #steps: number;
  #work: number;
  isExceeded = false;

  constructor({ steps, work }: { readonly steps: number; readonly work: number }) {
    this.#steps = steps;
    this.#work = work;
  }

  take(steps: number, work: number): void {
    this.#steps -= steps;
    this.#work -= work;
    if (this.#steps >= 0 && this.#work >= 0) return;
    this.isExceeded = true;
    throw new TemplateError('the templates of this mapping cause too much work');
  }
}

/** The remaining budget while one template is rendered. */
export class Budget {
  readonly #allowance: Allowance | undefined;
  #steps: number = LIMITS.steps;
  #work: number = LIMITS.work;

  constructor(allowance?: Allowance) {
    this.#allowance = allowance;
  }

  step(): void {
    this.#allowance?.take(1, 0);
    this.#steps -= 1;
    if (this.#steps < 0) throw new TemplateError(`it takes more than ${LIMITS.steps} steps`);
  }

  spend(work: number): void {
    this.#allowance?.take(0, work);
    this.#work -= work;
    if (this.#work < 0) throw new TemplateError('it works on too much text');
  }

  /** Call this before creating a text. @param newCharacters The number of characters to copy. */
  text(length: number, newCharacters = length): void {
    if (length > LIMITS.textLength)
      throw new TemplateError(`it makes a text of more than ${LIMITS.textLength} characters`);
    this.spend(newCharacters);
  }

  /** Call this before creating a list. */
  list(length: number): void {
    if (length > LIMITS.listLength)
      throw new TemplateError(`it makes a list of more than ${LIMITS.listLength} items`);
    this.spend(length);
  }

  /** Charges a text search, whose cost is at most the product of both lengths. */
  search(text: string, pattern: string): void {
    this.spend(text.length * Math.max(1, pattern.length));
  }
}

/** The engine's state while it renders one template, with the budget. */
export class BoundedContext extends Context {
  readonly budget: Budget;

  constructor(scope: object, liquid: Liquid, allowance?: Allowance) {
    super(scope, liquid.options, { sync: true }, { liquid });
    this.budget = new Budget(allowance);
    // The engine calls this before it renders each part of a template.
    this.renderLimit.check = () => this.budget.step();
    // Only ranges use this limit. Reject all ranges, because the engine's loop over a range never ends from 2^53 on.
    // `inspect.ts` normally reports a range earlier.
    this.memoryLimit.use = () => {
      throw new TemplateError('ranges such as `(1..3)` are not available');
    };
  }
}

export function budgetOf(context: Context): Budget {
  if (context instanceof BoundedContext) return context.budget;
  throw new TemplateError('it is rendered without bounds');
}

/** Collects the output of a template, and checks its size against the budget. */
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
