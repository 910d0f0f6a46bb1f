import { Context, type Liquid } from 'liquidjs';

/** What one template may use. All but the last count work and not time, so the same input ends the same way. */
export const LIMITS = {
  /** Of the template itself, in UTF-16 units. */
  templateLength: 64 * 1024,
  /** Blocks within blocks, and brackets within brackets. */
  depth: 50,
  /** What it gives, in bytes: as much as a Secret may hold. */
  outputBytes: 1024 * 1024,
  /** One text on the way there, in UTF-16 units. */
  textLength: 1024 * 1024,
  listLength: 10_000,
  /** Pieces of the template that are rendered, each round of a loop counted. */
  steps: 100_000,
  /** Characters that filters and operators look at or make. */
  work: 50_000_000,
  /** In case something costs more than it counts. */
  milliseconds: 5000,
} as const;

/** Why a template cannot be parsed or rendered: a sentence of ours, without any value. */
export class TemplateError extends Error {}

/** What is left for one rendering. */
export class Budget {
  #steps: number = LIMITS.steps;
  #work: number = LIMITS.work;
  #end: number | undefined;

  /** @param now Milliseconds of a clock that never goes back; the engine gives it. */
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

  /** To be asked before a text is made. @param newCharacters How much of it is made anew. */
  text(length: number, newCharacters = length): void {
    if (length > LIMITS.textLength)
      throw new TemplateError(`it makes a text of more than ${LIMITS.textLength} characters`);
    this.spend(newCharacters);
  }

  /** To be asked before a list is made. */
  list(length: number): void {
    if (length > LIMITS.listLength)
      throw new TemplateError(`it makes a list of more than ${LIMITS.listLength} items`);
    this.spend(length);
  }

  /** A search costs the product of both lengths at worst, whatever the platform makes of it. */
  search(text: string, pattern: string): void {
    this.spend(text.length * Math.max(1, pattern.length));
  }
}

/** The engine's state of one rendering, with what is left for it. */
export class BoundedContext extends Context {
  readonly budget = new Budget();

  constructor(scope: object, liquid: Liquid) {
    super(scope, liquid.options, { sync: true }, { liquid });
    // The engine calls this before each piece of a template that it renders.
    this.renderLimit.check = (now) => this.budget.step(now);
    // Only ranges use this. Their loop never ends from 2^53 on, so there are none; `inspect.ts` says so earlier.
    this.memoryLimit.use = () => {
      throw new TemplateError('ranges such as `(1..3)` are not available');
    };
  }
}

export function budgetOf(context: Context): Budget {
  if (context instanceof BoundedContext) return context.budget;
  throw new TemplateError('it is rendered without bounds');
}

/** Where a template writes to. */
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
