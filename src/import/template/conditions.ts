import type { Help } from './functions.ts';
import { Untranslatable } from './lex.ts';
import type { Expression } from './parse.ts';
import type { Scope } from './translate.ts';
import type { Value } from './value.ts';

/**
 * Conditions of theirs as conditions of ours. An empty text is false there and true here, so it is compared; Liquid
 * has no brackets, so `and` and `or` cannot be mixed.
 */
export function createConditions({
  translated,
  help,
}: {
  readonly translated: (expression: Expression, scope: Scope, line: number) => Value;
  readonly help: Help;
}) {
  function of(expression: Expression, scope: Scope, line: number): string {
    const plain = (it: Expression | undefined): string => {
      if (it === undefined) throw new Untranslatable('a condition lacks a value', line);
      return help.plain(translated(it, scope, line));
    };
    if (expression.kind === 'bool') return String(expression.value);
    if (expression.kind === 'call') {
      const { name, args } = expression;
      const [a, b, ...more] = args;
      switch (name) {
        case 'not':
          return negated(a, scope, line);
        case 'eq':
          if (more.length > 0 || b === undefined) break;
          return `${plain(a)} == ${plain(b)}`;
        case 'ne':
          return `${plain(a)} != ${plain(b)}`;
        case 'contains':
          return `${plain(b)} contains ${plain(a)}`;
        case 'empty':
          return negated(a, scope, line);
        case 'and':
        case 'or': {
          const parts = args.map((arg) => of(arg, scope, line));
          const other = name === 'and' ? ' or ' : ' and ';
          if (parts.length > 0 && !parts.some((part) => part.includes(other))) return parts.join(` ${name} `);
          throw new Untranslatable('`and` and `or` in one condition have no counterpart', line);
        }
        default:
      }
      if (['eq', 'lt', 'le', 'gt', 'ge', 'hasPrefix', 'hasSuffix', 'hasKey'].includes(name))
        throw new Untranslatable(`\`${name}\` in a condition has no counterpart`, line);
    }
    return truth(translated(expression, scope, line), line);
  }

  function negated(expression: Expression | undefined, scope: Scope, line: number): string {
    if (expression?.kind === 'call' && ['and', 'or', 'not', 'contains', 'empty'].includes(expression.name))
      throw new Untranslatable(`\`not\` of \`${expression.name}\` has no counterpart`, line);
    if (expression === undefined) throw new Untranslatable('a condition lacks a value', line);
    const condition = of(expression, scope, line);
    if (/ (and|or) /.test(condition))
      throw new Untranslatable('`not` of a value out of JSON has no counterpart', line);
    return condition.includes(' != ')
      ? condition.replace(' != ', ' == ')
      : condition.includes(' == ')
        ? condition.replace(' == ', ' != ')
        : `not ${condition}`;
  }

  function truth(value: Value, line: number): string {
    if (value.literal !== undefined || /^-?\d/.test(value.head))
      throw new Untranslatable('a condition on what is written out has no counterpart', line);
    const name = help.plain(value);
    if (!value.json) return `${name} != ""`;
    help.note('0, an empty list and an empty object out of JSON count as true in a condition');
    return `${name} and ${name} != ""`;
  }

  return { of };
}
