import type { Translated } from './expressions.ts';
import type { Help } from './functions.ts';
import { Untranslatable } from './lex.ts';
import type { Expression } from './parse.ts';
import type { Scope, Value } from './value.ts';

/** Functions that compare. Calls of `eq` and `ne` with more than two arguments are not supported. */
const COMPARISONS = ['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'hasPrefix', 'hasSuffix', 'hasKey'];

export interface Conditions {
  of(expression: Expression, scope: Scope, line: number): string;
}

/**
 * Converts conditions. An empty text is false in Go but true in Liquid, so the result compares texts with `""`. Liquid
 * has no parentheses, so a condition cannot mix `and` and `or`.
 */
class ConditionWriter implements Conditions {
  readonly #translated: Translated;
  readonly #help: Help;

  constructor(translated: Translated, help: Help) {
    this.#translated = translated;
    this.#help = help;
  }

  of(expression: Expression, scope: Scope, line: number): string {
    const plain = (operand: Expression | undefined): string => {
      if (operand === undefined) throw new Untranslatable('a condition lacks a value', line);
      return this.#help.plain(this.#translated(operand, scope, line));
    };
    if (expression.kind === 'bool') return String(expression.value);
    if (expression.kind === 'call') {
      const { name, args } = expression;
      const [a, b] = args;
      switch (name) {
        case 'not':
          return this.#negated(a, scope, line);
        case 'eq':
        case 'ne':
          if (args.length > 2) break;
          return `${plain(a)} ${name === 'eq' ? '==' : '!='} ${plain(b)}`;
        case 'contains':
          return `${plain(b)} contains ${plain(a)}`;
        case 'empty':
          return this.#negated(a, scope, line);
        case 'and':
        case 'or': {
          const parts = args.map((arg) => this.of(arg, scope, line));
          const other = name === 'and' ? ' or ' : ' and ';
          if (parts.length > 0 && !parts.some((part) => part.includes(other))) return parts.join(` ${name} `);
          throw new Untranslatable('`and` and `or` in one condition have no equivalent', line);
        }
        default:
      }
    }
    return this.#truth(this.#operandOf(expression, scope, line));
  }

  /** Negates the parsed expression and not its text, because a literal in the text may contain `!=`. */
  #negated(expression: Expression | undefined, scope: Scope, line: number): string {
    if (expression === undefined) throw new Untranslatable('a condition lacks a value', line);
    if (expression.kind === 'bool') return String(!expression.value);
    if (expression.kind === 'call') {
      const { name, args } = expression;
      if (['and', 'or', 'not', 'contains', 'empty'].includes(name))
        throw new Untranslatable(`\`not\` of \`${name}\` has no equivalent`, line);
      if ((name === 'eq' || name === 'ne') && args.length <= 2)
        return this.of({ ...expression, name: name === 'eq' ? 'ne' : 'eq' }, scope, line);
    }
    const value = this.#operandOf(expression, scope, line);
    if (value.json) throw new Untranslatable('`not` of a JSON value has no equivalent', line);
    return `${this.#help.plain(value)} == ""`;
  }

  #truth(value: Value): string {
    const name = this.#help.plain(value);
    if (!value.json) return `${name} != ""`;
    this.#help.note('0, an empty list and an empty object from JSON count as true in a condition');
    return `${name} and ${name} != ""`;
  }

  /** Converts a value that is used as a condition. The condition is true if the value is not empty. */
  #operandOf(expression: Expression, scope: Scope, line: number): Value {
    if (expression.kind === 'call' && COMPARISONS.includes(expression.name))
      throw new Untranslatable(`\`${expression.name}\` in a condition has no equivalent`, line);
    const value = this.#translated(expression, scope, line);
    if (value.literal !== undefined || /^-?\d/.test(value.head))
      throw new Untranslatable('a condition on a literal has no equivalent', line);
    return value;
  }
}

export function createConditions({
  translated,
  help,
}: {
  readonly translated: Translated;
  readonly help: Help;
}): Conditions {
  return new ConditionWriter(translated, help);
}
