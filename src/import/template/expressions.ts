import { FUNCTIONS, type Help } from './functions.ts';
import { Untranslatable } from './lex.ts';
import type { Expression } from './parse.ts';
import { literal, memberName, named, type Scope, type Value } from './value.ts';

/**
 * Converts an expression to a Liquid value.
 * @throws Untranslatable
 */
export type Translated = (expression: Expression, scope: Scope, line: number) => Value;

class ExpressionReader {
  readonly #root: (name: string) => Value;
  readonly #help: Help;

  constructor(root: (name: string) => Value, help: Help) {
    this.#root = root;
    this.#help = help;
  }

  value(expression: Expression, scope: Scope, line: number): Value {
    switch (expression.kind) {
      case 'text':
        return literal(expression.value);
      case 'number':
        return named(expression.text);
      case 'bool':
        return named(String(expression.value), true);
      case 'dot': {
        const { names } = expression;
        if (scope.dot !== undefined) return this.#below(scope.dot, names, line);
        return this.#fromRoot(names, line);
      }
      case 'variable': {
        if (expression.name === '') return this.#fromRoot(expression.names, line);
        const variable = scope.variables.get(expression.name);
        if (variable === undefined) throw new Untranslatable(`\`$${expression.name}\` is not defined`, line);
        return this.#below(variable, expression.names, line);
      }
      case 'below':
        return this.#below(this.value(expression.of, scope, line), expression.names, line);
      default:
        return this.#call(expression, scope, line);
    }
  }

  #fromRoot([name, ...rest]: readonly string[], line: number): Value {
    if (name === undefined)
      throw new Untranslatable('all keys at once have no equivalent in a template', line);
    return this.#below(this.#root(name), rest, line);
  }

  #below(value: Value, names: readonly string[], line: number): Value {
    if (names.length === 0) return value;
    if (!value.json) throw new Untranslatable(`a text has no members: \`.${names.join('.')}\``, line);
    return named(this.#help.plain(value) + names.map(memberName).join(''), true);
  }

  #call(expression: Extract<Expression, { kind: 'call' }>, scope: Scope, line: number): Value {
    const { name, args } = expression;
    if (name === 'index') return this.#indexed(args, scope, line);
    const translate = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (translate === undefined) throw new Untranslatable(`\`${name}\` has no equivalent`, line);
    const values = args.map((arg) => this.value(arg, scope, line));
    try {
      return translate(values, this.#help);
    } catch (error) {
      if (error instanceof Untranslatable && error.line === undefined)
        throw new Untranslatable(`\`${name}\` with these arguments has no equivalent`, line);
      throw error;
    }
  }

  #indexed([target, ...keys]: readonly Expression[], scope: Scope, line: number): Value {
    if (target === undefined) throw new Untranslatable('`index` without arguments', line);
    const isRoot =
      (target.kind === 'dot' && target.names.length === 0 && scope.dot === undefined) ||
      (target.kind === 'variable' && target.name === '' && target.names.length === 0);
    if (!isRoot) return this.#at(this.value(target, scope, line), keys, line);
    const [first, ...rest] = keys;
    if (first?.kind !== 'text')
      throw new Untranslatable('a key that is not a literal has no equivalent', line);
    return this.#at(this.#root(first.value), rest, line);
  }

  #at(value: Value, keys: readonly Expression[], line: number): Value {
    if (keys.length === 0) return value;
    if (!value.json) throw new Untranslatable('`index` of a text has no equivalent', line);
    const path = keys.map((key) => {
      if (key.kind === 'text') return memberName(key.value);
      if (key.kind === 'number') return `[${key.text}]`;
      throw new Untranslatable('an index that is not a literal has no equivalent', line);
    });
    return named(this.#help.plain(value) + path.join(''), true);
  }
}

/** @param root Returns the value of a top-level key. The key is given by its original name. */
export function createExpressions({
  root,
  help,
}: {
  readonly root: (name: string) => Value;
  readonly help: Help;
}): Translated {
  const reader = new ExpressionReader(root, help);
  return (expression, scope, line) => reader.value(expression, scope, line);
}
